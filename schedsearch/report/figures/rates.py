"""Rates: the learning rates of the best of each family, as they were trained.

A family with a confirmed schedule is shown by its best finalist, on the first of the seeds with the
longest training.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import TYPE_CHECKING

from schedsearch.horizon import evaluation_steps
from schedsearch.imports import lazy
from schedsearch.report.figures.chart import Axis, Chart, Panel, Series
from schedsearch.report.figures.figure import Figure
from schedsearch.report.wording import finalist_in_words, trial_in_words
from schedsearch.schedules.schedule import Schedule

if TYPE_CHECKING:
    import pandas as pd

    from schedsearch.confirmation.claim import Confirmed
    from schedsearch.report.snapshot import Snapshot
else:
    pd = lazy("pandas")

COLUMNS = ("family", "trial", "step", "lr", "words")
_MOST_POINTS = 300


def table(run: Snapshot) -> pd.DataFrame:
    """Return the rates of each family's best: one row per step that matters, with COLUMNS."""
    best, found = run.best_finalists(), []
    for row in run.best_rows():
        if (finalist := best.pop(row.family, None)) is not None:
            found.append(_rates_of_finalist(run, finalist))
        else:
            of_trial = rates_of(run, row.study, row.trial)
            words = trial_in_words(row, run.told)
            found.append(of_trial.assign(family=row.family, trial=row.trial, words=words))
    found += [_rates_of_finalist(run, finalist) for finalist in best.values()]
    return (
        pd.concat(found, ignore_index=True)[list(COLUMNS)]
        if found
        else pd.DataFrame([], columns=list(COLUMNS))
    )


def rates_of(run: Snapshot, study: str, trial: int) -> pd.DataFrame:
    """Return the rate of each step, from the real scheduler; thinned out if it does not jump.

    If the scheduler can't be built here (its family is not imported), or counts epochs, these are
    the rates that were recorded at the evaluations.
    """
    return traced(run.curve_of(study, trial), run.schedule_of(study, trial))


def _rates_of_finalist(run: Snapshot, each: Confirmed) -> pd.DataFrame:
    schedule = each.finalist.schedule
    curves = [training.curve for training in run.trainings_of(each)]
    rates = traced(max(curves, key=len), schedule)
    number = nan if each.finalist.trial is None else each.finalist.trial
    words = finalist_in_words(each.finalist)
    return rates.assign(family=schedule.family, trial=number, words=words)


def traced(curve: pd.DataFrame, schedule: Schedule | None) -> pd.DataFrame:
    """Return the rate of each step of a training, as `rates_of` does.

    Args:
        curve: its evaluations, with what the schedule watches.
        schedule: its schedule; None if it can't be built here.
    """
    recorded = schedule is None or schedule.step_unit == "epoch" or curve.empty
    if schedule is None or recorded or schedule.monitor not in (None, *curve.columns):
        return curve[["step", "lr"]]
    metrics, steps = None, int(curve["step"].iloc[-1])
    if schedule.monitor is not None:
        metrics = list(curve[schedule.monitor])
        if tuple(curve["step"]) != evaluation_steps(steps, len(metrics)):
            return curve[["step", "lr"]]  # a trainer of the user's own evaluates when it likes
    rates = schedule.trace(steps, metrics=metrics)
    kept = thinned(rates)
    return pd.DataFrame({"step": [i + 1 for i in kept], "lr": [rates[i] for i in kept]})


def thinned(rates: Sequence[float], most: int = _MOST_POINTS) -> list[int]:
    """Return the indices that show the course: evenly spaced ones, and both sides of each jump.

    >>> thinned([1.0] * 500 + [0.1] * 500, most=5)
    [0, 250, 499, 500, 750, 999]
    """
    every = max(1, len(rates) // max(1, most - 1))
    jump = 0.01 * max(rates, default=0.0)
    kept = {*range(0, len(rates), every), len(rates) - 1}
    jumps = [i for i in range(1, len(rates)) if abs(rates[i] - rates[i - 1]) > jump]
    if len(jumps) <= most:
        kept |= {i - 1 for i in jumps} | set(jumps)
    return sorted(i for i in kept if i >= 0)


def draw(rates: pd.DataFrame) -> Chart:
    """Draw one panel, with one line per family."""
    lines = tuple(
        Series(
            *(str(family), "line", tuple(rows["step"]), tuple(rows["lr"])),
            rows["words"].iloc[0],
            str(family),
        )
        for family, rows in rates.groupby("family", sort=False)
    )
    panel = Panel(Axis("optimizer step"), Axis("learning rate", from_zero=True), lines)
    return Chart("Learning rates of the best of each family", (panel,))


FIGURE = Figure(
    "rates",
    "The rate of the real scheduler at each step of the same trainings.",
    table,
    draw,
    in_dashboard=True,
)
