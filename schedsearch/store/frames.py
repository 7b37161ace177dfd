"""Tidy pandas frames of what a run stored: one row per trial, evaluation or rung."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
from optuna.trial import TrialState

from schedsearch.store.columns import Column, dtypes_of
from schedsearch.store.leases import ATTEMPT, OWNER
from schedsearch.store.records import SCHEDULE, Read, read_columns, read_result


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


def trials_frame(
    studies: Iterable[tuple[str, Sequence[Read]]], columns: Sequence[Column]
) -> pd.DataFrame:
    """Return one row per trial of all studies of a run; see `columns.TRIALS`."""
    dtypes = dtypes_of(columns)
    rows = [_row(name, trial, dtypes) for name, trials in studies for trial in trials]
    return _frame(rows, dtypes)


def _row(study: str, trial: Read, columns: Iterable[str]) -> dict[str, Any]:
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
    row |= {name: result.get(name) for name in columns if name not in row}
    if schedule is not None:
        row |= {  # read as JSON: a family of the user's own need not be imported
            "family": schedule["family"],
            "peak_lr": schedule["peak_lr"],
            "warmup_frac": schedule["warmup"]["frac"] if schedule["warmup"] else 0.0,
            "params": json.dumps(schedule["params"]),
            "schedule": json.dumps(schedule),
        }
    return row


def curves_frame(
    studies: Iterable[tuple[str, Sequence[Read]]], columns: Sequence[Column]
) -> pd.DataFrame:
    """Return one row per evaluation of all studies of a run; see `columns.CURVES`."""
    dtypes = dtypes_of(columns)
    every: dict[str, list[Any]] = {name: [] for name in dtypes}
    for name, trials in studies:
        for trial in trials:
            read = read_columns(trial)
            if read:
                family = trial.system_attrs.get(SCHEDULE, {}).get("family")
                head = {"trial": trial.number, "study": name, "family": family}
                count = len(read["step"])
                for column, values in every.items():
                    values.extend(read.get(column) or [head.get(column)] * count)
    return _frame(every, dtypes)


def rungs_frame(
    studies: Iterable[tuple[str, Sequence[Read]]], columns: Sequence[Column]
) -> pd.DataFrame:
    """Return one row per rung that a trial was trained at; see `columns.RUNGS`."""
    rows = []
    for name, trials in studies:
        for trial in trials:
            family = trial.system_attrs.get(SCHEDULE, {}).get("family")
            head = {"trial": trial.number, "study": name, "family": family}
            for rung in read_result(trial).get("rungs", ()):
                rows.append(head | rung)
    return _frame(rows, dtypes_of(columns))


def _frame(data: Any, columns: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame(data, columns=list(columns)).astype(columns)
