"""What a confirmation stores: its own Optuna study, and what was concluded from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna.storages import BaseStorage

from schedsearch.schedules.schedule import Schedule
from schedsearch.store.records import PREFIX

_CONCLUDED = f"{PREFIX}concluded"

FINALIST = "finalist"


@dataclass(frozen=True)
class Finalist:
    """A schedule that is confirmed.

    Args:
        schedule: the schedule.
        roles: "finalist", and the baselines that it is.
        trial: the number of its trial in the search; None when it was tuned for the confirmation.
        value: the value of the objective there, by which it was chosen.
    """

    schedule: Schedule
    roles: tuple[str, ...]
    trial: int | None
    value: float

    @property
    def label(self) -> str:
        """Its family, and where it comes from."""
        origin = "tuned" if self.trial is None else f"trial {self.trial}"
        return f"{self.schedule.family} ({origin})"


@dataclass(frozen=True)
class Concluded:
    """What was decided before a confirmation was trained, stored when all of it was.

    Args:
        finalists: who took part.
        seeds: on which seeds, the same for all.
        wished: how many finalists of the search were asked for.
        tried: the trials that had ended in the search.
        tuned: the trials that were added to tune the baselines.
        test: by which test the winner is named.
        looks: the numbers of seeds at which a conclusion was drawn; more than one: added later.
    """

    finalists: tuple[Finalist, ...]
    seeds: tuple[int, ...]
    wished: int
    tried: int
    tuned: int
    test: str
    looks: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        finalists = [
            {
                "schedule": f.schedule.to_dict(),
                "roles": list(f.roles),
                "trial": f.trial,
                "value": f.value,
            }
            for f in self.finalists
        ]
        return vars(self) | {
            "finalists": finalists,
            "seeds": list(self.seeds),
            "looks": list(self.looks),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Concluded":
        """Make it of what `to_dict` gave."""
        finalists = tuple(
            Finalist(Schedule.from_dict(f["schedule"]), tuple(f["roles"]), f["trial"], f["value"])
            for f in data["finalists"]
        )
        sequences = {name: tuple(data[name]) for name in ("seeds", "looks")}
        return cls(**(data | sequences | {"finalists": finalists}))


def concluded_in(attributes: Mapping[str, Any]) -> Concluded | None:
    """Return what was last concluded, from the attributes of the confirmation's study."""
    data = attributes.get(_CONCLUDED)
    return None if data is None else Concluded.from_dict(data)


def write_concluded(storage: BaseStorage, study_id: int, concluded: Concluded) -> None:
    """Store a conclusion."""
    storage.set_study_system_attr(study_id, _CONCLUDED, concluded.to_dict())
