"""Target: the steps that the trials of each family took to the task's target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schedsearch.report.figures.chart import Axis, Chart, Panel
from schedsearch.report.figures.compared import objective_of, with_objective
from schedsearch.report.figures.figure import Figure
from schedsearch.report.figures.trials import points, trials_table, wrapped
from schedsearch.report.wording import target_in_words

if TYPE_CHECKING:
    import pandas as pd

    from schedsearch.report.snapshot import Snapshot


def table(run: Snapshot) -> pd.DataFrame:
    """Return one row per trial that reached it: its steps_to_target, the target, and what that is.

    There are none where the task has no target.
    """
    if run.target is None:
        return trials_table(run).head(0)
    objective, value = run.target
    trials = trials_table(run, "steps_to_target")
    trials = trials[trials["steps_to_target"].notna()].reset_index(drop=True)
    return with_objective(trials, objective).assign(target=value)


def draw(trials: pd.DataFrame) -> Chart:
    """Draw one row of points per family, the fastest family on top."""
    first = trials.groupby("family", sort=False)["steps_to_target"].min().sort_values(kind="stable")
    row_of = {str(family): i for i, family in enumerate(first.index)}
    scattered = (trials["trial"] * 0.618034 % 1 - 0.5) * 0.6

    def y(rows: pd.DataFrame) -> pd.Series:
        return rows["family"].map(row_of) + scattered[rows.index]

    target = target_in_words((objective_of(trials), float(trials["target"].iloc[0])))
    ticks = tuple((float(i), wrapped(family)) for family, i in row_of.items())
    rows = Axis("", ticks=ticks, reverse=True, span=(-0.6, len(row_of) - 0.4))
    series = tuple(points(trials, lambda rows: rows["steps_to_target"], y))
    panel = Panel(Axis("optimizer steps"), rows, series, (), len(row_of))
    return Chart(f"Steps to {target}", (panel,))


FIGURE = Figure(
    "target",
    "One point per trial that reached the target, at the first evaluation that did.",
    table,
    draw,
)
