"""Tidy pandas frames of what a run stored: one row per trial, evaluation or rung."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
from optuna.trial import TrialState

from schedsearch.store.columns import CURVES, RUNGS, TRIALS, dtypes_of
from schedsearch.store.leases import ATTEMPT, OWNER
from schedsearch.store.records import SCHEDULE, Read, read_columns, read_result

TRIAL_COLUMNS, CURVE_COLUMNS, RUNG_COLUMNS = map(dtypes_of, (TRIALS, CURVES, RUNGS))
"""The dtype of each column by its name; `columns` has their units and meanings."""

_RESULTS = (
    *("val_loss", "val_accuracy", "best_val_loss", "best_val_accuracy", "train_loss"),
    *("steps", "horizon", "spent_steps", "steps_to_target", "seconds"),
)

RUNG = ("horizon", "val_loss", "val_accuracy")


def state_of(trial: Read) -> str:
    """Return a trial's state: finished, diverged, pruned, running, waiting or failed."""
    if read_result(trial).get("diverged") and trial.state.is_finished():
        return "diverged"
    return {
        TrialState.COMPLETE: "finished",
        TrialState.PRUNED: "pruned",
        TrialState.RUNNING: "running",
        TrialState.WAITING: "waiting",
        TrialState.FAIL: "failed",
    }[trial.state]


def trials_frame(studies: Iterable[tuple[str, Sequence[Read]]]) -> pd.DataFrame:
    """Return one row per trial, with TRIAL_COLUMNS, of all studies of a run."""
    rows = [_row(name, trial) for name, trials in studies for trial in trials]
    return _frame(rows, TRIAL_COLUMNS)


def _row(study: str, trial: Read) -> dict[str, Any]:
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
        row |= {  # read as JSON: a family of the user's own need not be imported
            "family": schedule["family"],
            "peak_lr": schedule["peak_lr"],
            "warmup_frac": schedule["warmup"]["frac"] if schedule["warmup"] else 0.0,
            "params": json.dumps(schedule["params"]),
            "schedule": json.dumps(schedule),
        }
    return row


def curves_frame(studies: Iterable[tuple[str, Sequence[Read]]]) -> pd.DataFrame:
    """Return one row per evaluation, with CURVE_COLUMNS, of all studies of a run."""
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


def rungs_frame(studies: Iterable[tuple[str, Sequence[Read]]]) -> pd.DataFrame:
    """Return one row per rung that a trial was trained at, with RUNG_COLUMNS."""
    rows = []
    for name, trials in studies:
        for trial in trials:
            family = trial.system_attrs.get(SCHEDULE, {}).get("family")
            head = {"trial": trial.number, "study": name, "family": family}
            for rung in read_result(trial).get("rungs", ()):
                rows.append(head | dict(zip(RUNG, rung, strict=True)))
    return _frame(rows, RUNG_COLUMNS)


def _frame(data: Any, columns: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame(data, columns=list(columns)).astype(columns)
