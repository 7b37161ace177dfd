"""What a confirmation stores: its own Optuna study, and what was concluded from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from schedsearch.schedules import Schedule
from schedsearch.storage.records import PREFIX, read_schedule

CONFIRMATION = "confirmation"
SEED = f"{PREFIX}seed"
_CONCLUDED = f"{PREFIX}concluded"

FINALIST = "finalist"
Pair: TypeAlias = tuple[str, int]
"""A schedule, as JSON, and a seed."""


def confirmation_name(run: str) -> str:
    """Name the Optuna study of a run's confirmation.

    >>> confirmation_name("digits")
    'digits/confirmation'
    """
    return f"{run}/{CONFIRMATION}"


@dataclass(frozen=True)
class Finalist:
    """A schedule that is confirmed.

    Args:
        schedule: the schedule.
        roles: "finalist", and the references that it is.
        trial: the number of its trial in the search; None when it was tuned for the confirmation.
        value: what it reached there, by which it was chosen.
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
        tuned: the trials that were added to tune the references.
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


def read_concluded(storage: BaseStorage, study_id: int) -> Concluded | None:
    """Return what was last concluded, if anything was."""
    data = storage.get_study_system_attrs(study_id).get(_CONCLUDED)
    return None if data is None else Concluded.from_dict(data)


def write_concluded(storage: BaseStorage, study_id: int, concluded: Concluded) -> None:
    """Store a conclusion."""
    storage.set_study_system_attr(study_id, _CONCLUDED, concluded.to_dict())


def pair_of(trial: FrozenTrial) -> Pair | None:
    """Name what a trial of a confirmation trains, a schedule on a seed; None while it is blank."""
    schedule, seed = read_schedule(trial), trial.system_attrs.get(SEED)
    return None if schedule is None or seed is None else (schedule.to_json(), seed)


def by_pair(trials: Sequence[FrozenTrial]) -> dict[Pair, FrozenTrial]:
    """Return trials that have ended or run by what they train; the first of two that are equal."""
    found: dict[Pair, FrozenTrial] = {}
    for trial in sorted(trials, key=lambda t: t.number):
        pair = pair_of(trial)
        if pair is not None:
            found.setdefault(pair, trial)
    return found
