"""Tidy pandas frames of what a run stored: a row a trial, a row an evaluation."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
from optuna.trial import FrozenTrial, TrialState

from schedsearch.storage.owners import ATTEMPT, OWNER
from schedsearch.storage.records import SCHEDULE, read_columns, read_result

# name -> dtype; what a trial has no value for (yet) is missing
TRIAL_COLUMNS: dict[str, str] = {
    "trial": "int64",
    "study": "string",
    "family": "string",
    "state": "string",
    "base_lr": "float64",
    "warmup_frac": "float64",
    "val_loss": "float64",
    "val_accuracy": "float64",
    "best_val_loss": "float64",
    "best_val_accuracy": "float64",
    "train_loss": "float64",
    "steps": "Int64",
    "horizon": "Int64",
    "spent_steps": "Int64",
    "steps_to_target": "Int64",
    "seconds": "float64",
    "attempt": "Int64",
    "owner": "string",
    "started": "datetime64[us]",
    "ended": "datetime64[us]",
    "params": "string",
    "schedule": "string",
}

CURVE_COLUMNS: dict[str, str] = {
    "trial": "int64",
    "study": "string",
    "family": "string",
    "step": "int64",
    "lr": "float64",
    "train_loss": "float64",
    "val_loss": "float64",
    "val_accuracy": "float64",
    "seconds": "float64",
}

RUNG_COLUMNS: dict[str, str] = {
    "trial": "int64",
    "study": "string",
    "family": "string",
    "horizon": "int64",
    "val_loss": "float64",
    "val_accuracy": "float64",
}

_RESULTS = (
    *("val_loss", "val_accuracy", "best_val_loss", "best_val_accuracy", "train_loss"),
    *("steps", "horizon", "spent_steps", "steps_to_target", "seconds"),
)

_RUNG = ("horizon", "val_loss", "val_accuracy")


def state_of(trial: FrozenTrial) -> str:
    """Name a trial's state: finished, diverged, pruned, running, waiting or failed."""
    if read_result(trial).get("diverged") and trial.state.is_finished():
        return "diverged"
    return {
        TrialState.COMPLETE: "finished",
        TrialState.PRUNED: "pruned",
        TrialState.RUNNING: "running",
        TrialState.WAITING: "waiting",
        TrialState.FAIL: "failed",
    }[trial.state]


def trials_frame(studies: Iterable[tuple[str, Sequence[FrozenTrial]]]) -> pd.DataFrame:
    """Make a frame with a row a trial and TRIAL_COLUMNS, of all studies of a run."""
    rows = [_row(name, trial) for name, trials in studies for trial in trials]
    return _frame(rows, TRIAL_COLUMNS)


def _row(study: str, trial: FrozenTrial) -> dict[str, Any]:
    schedule, result = trial.system_attrs.get(SCHEDULE), read_result(trial)
    row: dict[str, Any] = {
        "trial": trial.number,
        "study": study,
        "state": state_of(trial),
        "attempt": trial.user_attrs.get(ATTEMPT),
        "owner": trial.user_attrs.get(OWNER) or None,
        "started": trial.datetime_start,
        "ended": trial.datetime_complete,
    }
    row |= {name: result.get(name) for name in _RESULTS}
    if schedule is not None:
        row |= {  # as it is stored: a family of the user's own need not be imported to be seen
            "family": schedule["family"],
            "base_lr": schedule["base_lr"],
            "warmup_frac": schedule["warmup"]["frac"] if schedule["warmup"] else 0.0,
            "params": json.dumps(schedule["params"]),
            "schedule": json.dumps(schedule),
        }
    return row


def curves_frame(studies: Iterable[tuple[str, Sequence[FrozenTrial]]]) -> pd.DataFrame:
    """Make a frame with a row an evaluation and CURVE_COLUMNS, of all studies of a run."""
    every: dict[str, list[Any]] = {name: [] for name in CURVE_COLUMNS}
    for name, trials in studies:
        for trial in trials:
            columns = read_columns(trial)
            if columns:
                family = trial.system_attrs.get(SCHEDULE, {}).get("family")
                head = {"trial": trial.number, "study": name, "family": family}
                count = len(columns["step"])
                for column, values in every.items():
                    values.extend(columns.get(column) or [head.get(column)] * count)
    return _frame(every, CURVE_COLUMNS)


def rungs_frame(studies: Iterable[tuple[str, Sequence[FrozenTrial]]]) -> pd.DataFrame:
    """Make a frame with a row a rung that a trial came through, and RUNG_COLUMNS."""
    rows = []
    for name, trials in studies:
        for trial in trials:
            family = trial.system_attrs.get(SCHEDULE, {}).get("family")
            head = {"trial": trial.number, "study": name, "family": family}
            for rung in read_result(trial).get("rungs", ()):
                rows.append(head | dict(zip(_RUNG, rung, strict=True)))
    return _frame(rows, RUNG_COLUMNS)


def _frame(data: Any, columns: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame(data, columns=list(columns)).astype(columns)
