"""Convergence compared: how fast schedules get to a target, and what they reach on the way.

A confirmed run is shown by its finalists, with intervals over the fresh seeds. Any other run is
shown by the best trial of each family: single trainings on the search's seed, without intervals.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from schedsearch.confirmation.read import confirming_trials, last_confirmation
from schedsearch.errors import RunError
from schedsearch.report.best_so_far import best_frame
from schedsearch.report.leaderboard import leaderboard_of
from schedsearch.report.wording import target_in_words
from schedsearch.statistics.curves import area_under, at_fraction, steps_to_target
from schedsearch.statistics.intervals import Estimate, mean_interval
from schedsearch.store.pairs import by_pair
from schedsearch.store.records import SCHEDULE, read_columns, read_result
from schedsearch.store.run import Run

TARGET_COLUMNS: dict[str, str] = {
    "run": "string",
    "schedule": "string",
    "family": "string",
    "trainings": "int64",
    "reached": "int64",
    "missed": "int64",
    "diverged": "int64",
    "target": "string",
    "target_value": "float64",
    "steps": "float64",
    "low": "float64",
    "high": "float64",
}
LOSS_COLUMNS: dict[str, str] = {
    "run": "string",
    "schedule": "string",
    "family": "string",
    "trainings": "int64",
    "diverged": "int64",
    "measure": "string",
    "value": "float64",
    "low": "float64",
    "high": "float64",
}

FRACTIONS = (0.25, 0.5, 0.75, 1.0)
AREA = "area"


@dataclass(frozen=True, eq=False)
class Convergence:
    """How the schedules of runs converge; `convergence_of` documents the columns.

    Args:
        targets: steps to the task's target, one row per schedule; none where it has no target.
        losses: validation losses on the way, one row per schedule and measure.
        best: the best value so far against what the search spent, one row per unit and fraction.
        stands_on: for each run, in words, the evidence behind its rows.
    """

    targets: pd.DataFrame
    losses: pd.DataFrame
    best: pd.DataFrame
    stands_on: tuple[str, ...]


@dataclass(frozen=True)
class _Entry:
    """A schedule with its trainings: the result and the curve of each."""

    schedule: str
    family: str
    trainings: tuple[tuple[Any, dict[str, list[Any]]], ...]

    @property
    def sound(self) -> list[tuple[Any, dict[str, list[Any]]]]:
        return [(result, columns) for result, columns in self.trainings if not result["diverged"]]

    @property
    def diverged(self) -> int:
        return len(self.trainings) - len(self.sound)


def convergence_of(runs: Sequence[Run]) -> Convergence:
    """Compare how the schedules of runs converge, side by side.

    Args:
        runs: runs of the same task, model, horizon, batch size and objective.

    Returns:
        Three frames. Intervals are 95 % intervals over fresh seeds, and NaN for single trainings.

        Columns of `targets`:

        | column | unit | meaning |
        |---|---|---|
        | run | | the run's name |
        | schedule | | the finalist, or the family and its trial |
        | family | | the schedule's family |
        | trainings | count | the trainings behind the row |
        | reached | count | trainings that reached the target |
        | missed | count | trainings that did not reach it, diverged ones included |
        | diverged | count | trainings that diverged |
        | target | | what the task names as its target, such as "val_accuracy" |
        | target_value | | the value to reach |
        | steps | optimizer steps | median steps to the target; infinite: most never reach it |
        | low | optimizer steps | lower end of the interval of `steps` |
        | high | optimizer steps | upper end; infinite where the trainings can't tell |

        Columns of `losses`:

        | column | unit | meaning |
        |---|---|---|
        | run | | the run's name |
        | schedule | | the finalist, or the family and its trial |
        | family | | the schedule's family |
        | trainings | count | the trainings of the schedule |
        | diverged | count | trainings that diverged; `value` leaves them out |
        | measure | | "area": mean loss over all steps; "25%": loss at a quarter of the horizon |
        | value | loss | mean of the measure over the trainings |
        | low | loss | lower end of the interval of `value` |
        | high | loss | upper end of the interval of `value` |

        Columns of `best`:

        | column | unit | meaning |
        |---|---|---|
        | run | | the run's name |
        | unit | | "steps" or "seconds": in what the spending is counted |
        | fraction | fraction | the part of the search's whole spending |
        | steps | optimizer steps | spent by then, over all trials and rungs |
        | seconds | seconds | of training by then |
        | ended | count | trials that had ended by then |
        | diverged | count | of these, trials that diverged |
        | pruned | count | of these, trials that were pruned |
        | best | objective | the best final value by then; NaN before the first |

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


def _refuse_what_differs(runs: Sequence[Run]) -> None:
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


def _terms(run: Run) -> dict[str, Any]:
    """Return what losses and steps depend on, apart from the schedule."""
    config, identity = run.config, run.attributes["identity"]
    batches = {} if config.is_own else {"training.batch_size": config.training.batch_size}
    return {
        "task": config.trains,
        "model": identity.get("model"),
        "training.total_steps": config.training.total_steps,
        **batches,
        "search.objective": config.search.objective,
        "target": None if run.target is None else target_in_words(run.target),
    }


def _entries(run: Run) -> tuple[list[_Entry], str]:
    confirmed = last_confirmation(run)
    if confirmed is not None:
        found, seeds = by_pair(confirming_trials(run)), confirmed.basis.seeds
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
    board = leaderboard_of(run).dropna(subset=["trial"])
    names = zip(board["family"], board["trial"], strict=True)
    best = [(name, stored[name, int(number)]) for name, number in names]
    entries = [
        _Entry(f"{name} (trial {t.number})", name, ((read_result(t), read_columns(t)),))
        for name, t in best
    ]
    if not entries:
        raise RunError(f"the run {run.name!r} has no finished trial yet")
    return entries, "single trainings on one seed, the best trial of each family: no intervals"


def _of(run: Run) -> Convergence:
    entries, shown = _entries(run)
    states = run.trials()["state"].value_counts()
    counts = [f"{states.get(s, 0)} {s}" for s in ("finished", "diverged", "pruned")]
    horizon = run.config.training.total_steps
    target = (
        []
        if run.target is None
        else [{"target": run.target[0].name, "target_value": run.target[1]}]
    )
    targets = [
        {"run": run.name} | each | _target_row(entry, horizon)
        for each in target
        for entry in entries
    ]
    losses = [{"run": run.name} | row for entry in entries for row in _loss_rows(entry, horizon)]
    return Convergence(
        _frame(targets, TARGET_COLUMNS),
        _frame(losses, LOSS_COLUMNS),
        best_frame(run),
        (f"{run.name}: {', '.join(counts)} trials; {shown}",),
    )


def _target_row(entry: _Entry, horizon: int) -> dict[str, Any]:
    hits = [r["steps_to_target"] for r, _ in entry.trainings if r["steps_to_target"] is not None]
    # a diverged training never reaches the target: it counts as a miss at the full horizon
    found = steps_to_target(hits, [horizon] * (len(entry.trainings) - len(hits)))
    return {
        "schedule": entry.schedule,
        "family": entry.family,
        "trainings": len(entry.trainings),
        "reached": found.reached,
        "missed": found.missed,
        "diverged": entry.diverged,
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
            "trainings": len(entry.trainings),
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


def _frame(rows: list[dict[str, Any]], columns: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(columns)).astype(columns)
