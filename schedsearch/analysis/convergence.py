"""Convergence compared: not only where runs end, but how they get there, and at what cost.

A confirmed run is shown by its finalists, each with intervals over the fresh seeds; another one by
the best trial of each family, single runs on the search's one seed, without intervals.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from optuna.trial import FrozenTrial

from schedsearch.analysis.confirmation import Confirmation
from schedsearch.config import StudyConfig
from schedsearch.errors import RunError
from schedsearch.statistics import (
    Estimate,
    area_under,
    at_fraction,
    best_so_far,
    mean_interval,
    steps_to_target,
)
from schedsearch.storage.finalists import by_pair
from schedsearch.storage.records import SCHEDULE, read_columns, read_result

# `runs` is how many training runs a row stands on, with those that diverged
TARGET_COLUMNS: dict[str, str] = {
    "run": "string",
    "schedule": "string",
    "family": "string",
    "runs": "int64",
    "reached": "int64",
    "missed": "int64",
    "diverged": "int64",
    "target_accuracy": "float64",
    "steps": "float64",
    "low": "float64",
    "high": "float64",
}
LOSS_COLUMNS: dict[str, str] = {
    "run": "string",
    "schedule": "string",
    "family": "string",
    "runs": "int64",
    "diverged": "int64",
    "measure": "string",
    "value": "float64",
    "low": "float64",
    "high": "float64",
}
BEST_COLUMNS: dict[str, str] = {
    "run": "string",
    "clock": "string",
    "share": "float64",
    "steps": "int64",
    "seconds": "float64",
    "ended": "int64",
    "diverged": "int64",
    "pruned": "int64",
    "best": "float64",
}

FRACTIONS = (0.25, 0.5, 0.75, 1.0)
SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)
AREA = "area"


class Source(Protocol):
    """What is read of a run; `Run` is one."""

    @property
    def name(self) -> str: ...
    @property
    def config(self) -> StudyConfig: ...
    @property
    def attributes(self) -> dict[str, Any]: ...
    @property
    def confirmed(self) -> Confirmation | None: ...
    def trials(self) -> pd.DataFrame: ...
    def leaderboard(self) -> pd.DataFrame: ...
    def confirmation_trials(self) -> list[FrozenTrial]: ...
    def search_trials(self) -> list[FrozenTrial]: ...


@dataclass(frozen=True, eq=False)
class Convergence:
    """How the schedules of runs converge.

    Args:
        targets: steps to the task's target accuracy; see TARGET_COLUMNS.
        losses: area under the curve, and loss at fractions of the horizon; see LOSS_COLUMNS.
        best: the best so far against the search's steps and seconds; see BEST_COLUMNS.
        stands_on: for each run, in words, what its rows stand on.
    """

    targets: pd.DataFrame
    losses: pd.DataFrame
    best: pd.DataFrame
    stands_on: tuple[str, ...]


@dataclass(frozen=True)
class _Entry:
    """A schedule with the training runs that show it: result and curve of each."""

    schedule: str
    family: str
    runs: tuple[tuple[Any, dict[str, list[Any]]], ...]

    @property
    def sound(self) -> list[tuple[Any, dict[str, list[Any]]]]:
        return [(result, columns) for result, columns in self.runs if not result["diverged"]]

    @property
    def diverged(self) -> int:
        return len(self.runs) - len(self.sound)


def convergence_of(runs: Sequence[Source]) -> Convergence:
    """Compare how the schedules of runs converge, side by side.

    Raises:
        RunError: a run without a finished trial, or runs that differ in what losses depend on.
    """
    _refuse_what_differs(runs)
    parts = [_of(run) for run in runs]
    return Convergence(
        targets=pd.concat([part.targets for part in parts], ignore_index=True),
        losses=pd.concat([part.losses for part in parts], ignore_index=True),
        best=pd.concat([part.best for part in parts], ignore_index=True),
        stands_on=tuple(text for part in parts for text in part.stands_on),
    )


def _refuse_what_differs(runs: Sequence[Source]) -> None:
    first = _terms(runs[0])
    for run in runs[1:]:
        other = _terms(run)
        for name, value in first.items():
            if other[name] != value:
                raise RunError(
                    f"{runs[0].name} and {run.name} differ in {name} ({value!r} and "
                    f"{other[name]!r}): their losses and steps can't be compared; --profile "
                    "compares each family with the fastest of its own run"
                )


def _terms(run: Source) -> dict[str, Any]:
    """Return what losses and steps depend on beside the schedule."""
    config, identity = run.config, run.attributes["identity"]
    return {
        "task": config.task,
        "model": identity["model"],
        "training.total_steps": config.training.total_steps,
        "training.batch_size": config.training.batch_size,
        "search.objective": config.search.objective,
    }


def _entries(run: Source) -> tuple[list[_Entry], str]:
    confirmed = run.confirmed
    if confirmed is not None:
        found, seeds = by_pair(run.confirmation_trials()), confirmed.basis.seeds
        entries = []
        for each in confirmed.finalists:
            schedule = each.finalist.schedule
            trials = [found[schedule.to_json(), seed] for seed in seeds]
            shown = tuple((read_result(t), read_columns(t)) for t in trials)
            entries.append(_Entry(each.label, schedule.family, shown))
        return entries, f"{len(entries)} finalists on {len(seeds)} fresh seeds each"
    # in rank mode each family has its own numbers
    stored = {
        (t.system_attrs.get(SCHEDULE, {}).get("family"), t.number): t for t in run.search_trials()
    }
    board = run.leaderboard().dropna(subset=["trial"])
    names = zip(board["family"], board["trial"], strict=True)
    best = [(name, stored[name, int(number)]) for name, number in names]
    entries = [
        _Entry(f"{name} (trial {t.number})", name, ((read_result(t), read_columns(t)),))
        for name, t in best
    ]
    if not entries:
        raise RunError(f"the run {run.name!r} has no finished trial yet")
    return entries, "single runs on one seed, the best trial of each family: no intervals"


def _of(run: Source) -> Convergence:
    entries, shown = _entries(run)
    states = run.trials()["state"].value_counts()
    counts = [f"{states.get(s, 0)} {s}" for s in ("finished", "diverged", "pruned")]
    horizon = run.config.training.total_steps
    targets = [{"run": run.name} | _target_row(entry, horizon) for entry in entries]
    losses = [{"run": run.name} | row for entry in entries for row in _loss_rows(entry, horizon)]
    return Convergence(
        _frame(targets, TARGET_COLUMNS),
        _frame(losses, LOSS_COLUMNS),
        _best(run),
        (f"{run.name}: {', '.join(counts)} trials; {shown}",),
    )


def _target_row(entry: _Entry, horizon: int) -> dict[str, Any]:
    hits = [r["steps_to_target"] for r, _ in entry.runs if r["steps_to_target"] is not None]
    # one that diverged never gets there: it is no run that was lost from sight
    found = steps_to_target(hits, [horizon] * (len(entry.runs) - len(hits)))
    return {
        "schedule": entry.schedule,
        "family": entry.family,
        "runs": len(entry.runs),
        "reached": found.reached,
        "missed": found.missed,
        "diverged": entry.diverged,
        "target_accuracy": entry.runs[0][0]["target_accuracy"],
        "steps": found.median,
        "low": found.low,
        "high": found.high,
    }


def _loss_rows(entry: _Entry, horizon: int) -> list[dict[str, Any]]:
    def row(measure: str, values: list[float]) -> dict[str, Any]:
        found: Estimate = mean_interval(values)
        return {
            "schedule": entry.schedule,
            "family": entry.family,
            "runs": len(entry.runs),
            "diverged": entry.diverged,
            "measure": measure,
            "value": found.value,
            "low": found.low,
            "high": found.high,
        }

    areas = [area_under(c["step"], c["val_loss"], r["initial_loss"]) for r, c in entry.sound]
    rows = [row(AREA, areas)]
    for fraction in FRACTIONS:
        seen = [at_fraction(c["step"], c["val_loss"], fraction, horizon) for _, c in entry.sound]
        rows.append(row(f"{fraction:.0%}", seen))
    return rows


def _best(run: Source) -> pd.DataFrame:
    """Follow the search: each trial that ended costs what it was trained, whatever it came to."""
    objective = run.config.search.objective
    sign = 1.0 if objective == "val_loss" else -1.0
    trials = run.trials()
    trials = trials[trials["state"].isin(("finished", "diverged", "pruned"))]
    trials = trials.sort_values(["ended", "study", "trial"], kind="stable")
    spent = trials["spent_steps"].fillna(trials["steps"]).astype("float64")
    steps, seconds = spent.fillna(0).cumsum(), trials["seconds"].fillna(0).cumsum()
    values = trials[objective].where(trials["state"] == "finished")
    best = sign * best_so_far(sign * values.to_numpy(dtype=float))
    rows = []
    for clock, spent_so_far in (("steps", steps), ("seconds", seconds)):
        for share in SHARES:
            done = int((spent_so_far <= share * spent_so_far.max() * (1 + 1e-12)).sum())
            states = trials["state"].iloc[:done]
            rows.append(
                {
                    "run": run.name,
                    "clock": clock,
                    "share": share,
                    "steps": int(steps.iloc[done - 1]) if done else 0,
                    "seconds": float(seconds.iloc[done - 1]) if done else 0.0,
                    "ended": done,
                    "diverged": int((states == "diverged").sum()),
                    "pruned": int((states == "pruned").sum()),
                    "best": best[done - 1] if done and np.isfinite(best[done - 1]) else None,
                }
            )
    return _frame(rows, BEST_COLUMNS)


def _frame(rows: list[dict[str, Any]], columns: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(columns)).astype(columns)
