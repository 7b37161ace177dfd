"""What is stored of a trial beside Optuna's own values, and how it is read back.

Scalars worth a column in the dashboard are user attributes. The schedule, the result and the curve
are system attributes, which no table of the dashboard lists. No value is longer than 64 kB.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from optuna.trial import TrialState

from schedsearch.schedules.schedule import Schedule
from schedsearch.training.curve import Curve

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
"""The states of a trial that is over; none of ours fails."""

PREFIX = "schedsearch:"
SCHEDULE, RESULT, CURVE = f"{PREFIX}schedule", f"{PREFIX}result", f"{PREFIX}curve:"
RANGE_TEST, FIDELITY = "range_test", "fidelity"  # attributes of a run, behind the prefix
_ROWS_PER_PIECE = 300  # 6 numbers of at most 26 characters a row: under 48 kB

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


def result_of(curve: Curve, target_accuracy: float) -> dict[str, Any]:
    """Return the scalars that a trial stores of its curve."""
    final = curve.final
    return {
        "diverged": curve.diverged,
        "val_loss": final.val_loss,
        "val_accuracy": final.val_accuracy,
        "best_val_loss": curve.best_val_loss,
        "best_val_accuracy": curve.best_val_accuracy,
        "train_loss": final.train_loss,
        "initial_loss": curve.initial_loss,
        "steps": final.step,
        "steps_to_target": curve.steps_to(target_accuracy),
        "target_accuracy": target_accuracy,
        "seconds": final.seconds,
    }


# The dashboard has a column for each of these, beside the value and the parameters.
_DASHBOARD = ("diverged", "val_accuracy", "steps_to_target", "seconds")


def system_attrs(curve: Curve, result: Result) -> dict[str, Any]:
    """Return what is stored of a trial that has ended: its curve in pieces, its result."""
    columns = curve.columns()
    pieces: dict[str, Any] = {}
    for piece, first in enumerate(range(0, len(curve.rows), _ROWS_PER_PIECE)):
        rows = slice(first, first + _ROWS_PER_PIECE)
        pieces[f"{CURVE}{piece}"] = {name: v[rows] for name, v in columns.items()}
    return pieces | {RESULT: dict(result)}


def user_attrs(result: Result) -> dict[str, Any]:
    """Return what the dashboard shows of a trial that has ended."""
    return {name: result[name] for name in _DASHBOARD if result[name] is not None}


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
