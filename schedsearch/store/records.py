"""What is stored of a trial beside Optuna's own values, and how it is read back.

Scalars worth a column in the dashboard are user attributes. The schedule, the result and the curve
are system attributes, which no table of the dashboard lists. No value is longer than 64 kB.
"""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from optuna.trial import TrialState

from schedsearch.objective import Objective, find_objective
from schedsearch.schedules.schedule import Schedule
from schedsearch.training.curve import Curve

if TYPE_CHECKING:
    from schedsearch.training.recipe import Recipe

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
"""The states of a trial that is over; none of ours fails."""

PREFIX = "schedsearch:"
SCHEDULE, RESULT, CURVE = f"{PREFIX}schedule", f"{PREFIX}result", f"{PREFIX}curve:"
RANGE_TEST, FIDELITY = "range_test", "fidelity"  # attributes of a run, behind the prefix
OBJECTIVES, TARGET = "objectives", "target"  # likewise
_NUMBERS_PER_PIECE = 1800  # of at most 26 characters: under 48 kB

Result = Mapping[str, Any]


class Read(Protocol):
    """What is read of a trial: Optuna's FrozenTrial, or the part of one that was asked for."""

    @property
    def number(self) -> int: ...
    @property
    def state(self) -> TrialState: ...
    @property
    def datetime_start(self) -> datetime | None: ...
    @property
    def datetime_complete(self) -> datetime | None: ...
    @property
    def user_attrs(self) -> Mapping[str, Any]: ...
    @property
    def system_attrs(self) -> Mapping[str, Any]: ...


def result_of(curve: Curve, recipe: "Recipe") -> dict[str, Any]:
    """Return the scalars that a trial stores of its curve: what was measured, final and best."""
    final, target = curve.final, recipe.target
    result: dict[str, Any] = {"diverged": curve.diverged}
    for objective in recipe.objectives:
        result[objective.name] = final.value(objective.name)
        result[f"best_{objective.name}"] = curve.best(objective.name, objective.sign)
    result |= {
        "train_loss": final.train_loss,
        "initial_loss": curve.initial_loss,
        "steps": final.step,
        "seconds": final.seconds,
    }
    if target is not None:
        objective, value = target
        result["steps_to_target"] = curve.steps_to(objective.name, value, objective.sign)
    return result


def user_attrs(result: Result) -> dict[str, Any]:
    """Return what the dashboard shows of a trial that has ended, a column for each.

    The validation loss is not among them: it is the trial's value, or not what is compared.
    """
    measured = [name for name in result if name.startswith(("val_", "ema_val_"))]
    shown = ("diverged", *(n for n in measured if n != "val_loss"), "steps_to_target", "seconds")
    return {name: result[name] for name in shown if _is_shown(result.get(name))}


def _is_shown(value: Any) -> bool:
    return value is not None and (not isinstance(value, float) or math.isfinite(value))


def system_attrs(curve: Curve, result: Result) -> dict[str, Any]:
    """Return what is stored of a trial that has ended: its curve in pieces, its result."""
    columns = curve.columns()
    pieces: dict[str, Any] = {}
    rows_of_piece = max(1, _NUMBERS_PER_PIECE // len(columns))
    for piece, first in enumerate(range(0, len(curve.rows), rows_of_piece)):
        rows = slice(first, first + rows_of_piece)
        pieces[f"{CURVE}{piece}"] = {name: v[rows] for name, v in columns.items()}
    return pieces | {RESULT: dict(result)}


def read_schedule(trial: Read) -> Schedule | None:
    """Return a trial's schedule; None while it has none."""
    data = trial.system_attrs.get(SCHEDULE)
    return None if data is None else Schedule.from_dict(data)


def read_result(trial: Read) -> Result:
    """Return a trial's result; empty while it has none."""
    result: Result = trial.system_attrs.get(RESULT, {})
    return result


def read_columns(trial: Read) -> dict[str, list[Any]]:
    """Return a trial's curve as columns; empty while it has none."""
    columns: dict[str, list[Any]] = {}
    piece = 0
    while (part := trial.system_attrs.get(f"{CURVE}{piece}")) is not None:
        for name, values in part.items():
            columns.setdefault(name, []).extend(values)
        piece += 1
    return columns


def described(recipe: "Recipe") -> dict[str, Any]:
    """Return what a run stores of what its trainings measure, as values that JSON can hold."""
    target = recipe.target
    return {
        OBJECTIVES: [objective.to_list() for objective in recipe.objectives],
        TARGET: None if target is None else [target[0].name, target[1]],
    }


def stored_objectives(attributes: Mapping[str, Any]) -> tuple[Objective, ...]:
    """Return all that the trainings of a run can be compared by, from its attributes."""
    return tuple(Objective(*each) for each in attributes.get(OBJECTIVES, ()))


def stored_target(attributes: Mapping[str, Any]) -> tuple[Objective, float] | None:
    """Return what a training of a run is to reach, from its attributes; None for nothing."""
    stored = attributes.get(TARGET)
    if stored is None:
        return None
    return find_objective(stored[0], stored_objectives(attributes)), float(stored[1])
