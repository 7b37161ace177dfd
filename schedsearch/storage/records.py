"""What is written beside Optuna's own values, and how it is read back.

Scalars worth a column in the dashboard are user attributes; the schedule, the result and the curve
are system attributes, which no dashboard table lists. No value is longer than 64 kB.
"""

from collections.abc import Mapping
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from schedsearch.schedules import Schedule
from schedsearch.training import Curve

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
"""The states of a trial that is over; none of ours fails."""

PREFIX = "schedsearch:"
SCHEDULE = f"{PREFIX}schedule"
RANGE_TEST, FIDELITY = "range_test", "fidelity"  # a run's, behind the prefix
OF_DASHBOARD = ("dashboard:", "artifacts:")  # what optuna-dashboard keeps with a study begins so
_ROWS_PER_PIECE = 300  # 6 numbers of at most 26 characters a row: under 48 kB

Result = Mapping[str, Any]


def result_of(curve: Curve, target_accuracy: float) -> dict[str, Any]:
    """Sum a curve up in the scalars that a trial stores."""
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


# what the dashboard has a column for, beside the value and the parameters
_DASHBOARD = ("diverged", "val_accuracy", "steps_to_target", "seconds")


def system_attrs(curve: Curve, result: Result) -> dict[str, Any]:
    """Return what is stored of a trial that has ended: its curve in pieces, its result."""
    columns = curve.columns()
    pieces: dict[str, Any] = {}
    for piece, first in enumerate(range(0, len(curve.rows), _ROWS_PER_PIECE)):
        rows = slice(first, first + _ROWS_PER_PIECE)
        pieces[f"{PREFIX}curve:{piece}"] = {name: v[rows] for name, v in columns.items()}
    return pieces | {f"{PREFIX}result": dict(result)}


def user_attrs(result: Result) -> dict[str, Any]:
    """Return what the dashboard shows of a trial that has ended."""
    return {name: result[name] for name in _DASHBOARD if result[name] is not None}


def read_schedule(trial: FrozenTrial) -> Schedule | None:
    """Return a trial's schedule, if it has come to have one."""
    data = trial.system_attrs.get(SCHEDULE)
    return None if data is None else Schedule.from_dict(data)


def read_result(trial: FrozenTrial) -> Result:
    """Return a trial's result; empty while it has none."""
    result: Result = trial.system_attrs.get(f"{PREFIX}result", {})
    return result


def read_columns(trial: FrozenTrial) -> dict[str, list[Any]]:
    """Return a trial's curve as columns; empty while it has none."""
    columns: dict[str, list[Any]] = {}
    piece = 0
    while (part := trial.system_attrs.get(f"{PREFIX}curve:{piece}")) is not None:
        for name, values in part.items():
            columns.setdefault(name, []).extend(values)
        piece += 1
    return columns
