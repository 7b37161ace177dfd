"""Target: the steps that the trials of each family took to the task's target accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schedsearch.report.figures.chart import Axis, Chart, Panel
from schedsearch.report.figures.figure import Figure
from schedsearch.report.figures.trials import points, trials_table, wrapped

if TYPE_CHECKING:
    import pandas as pd

    from schedsearch.report.snapshot import Snapshot


def table(run: Snapshot) -> pd.DataFrame:
    """Return one row per trial that reached it: its steps_to_target, and the target_accuracy."""
    trials = trials_table(run, "steps_to_target")
    trials = trials[trials["steps_to_target"].notna()].reset_index(drop=True)
    return trials.assign(target_accuracy=run.target_accuracy())


def draw(trials: pd.DataFrame) -> Chart:
    """Draw one row of points per family, the fastest family on top."""
    first = trials.groupby("family", sort=False)["steps_to_target"].min().sort_values(kind="stable")
    row_of = {str(family): i for i, family in enumerate(first.index)}
    scattered = (trials["trial"] * 0.618034 % 1 - 0.5) * 0.6

    def y(rows: pd.DataFrame) -> pd.Series:
        return rows["family"].map(row_of) + scattered[rows.index]

    target = float(trials["target_accuracy"].iloc[0])
    ticks = tuple((float(i), wrapped(family)) for family, i in row_of.items())
    rows = Axis("", ticks=ticks, reverse=True, span=(-0.6, len(row_of) - 0.4))
    series = tuple(points(trials, lambda rows: rows["steps_to_target"], y))
    panel = Panel(Axis("optimizer steps"), rows, series, (), len(row_of))
    return Chart(f"Steps to a validation accuracy of {target:.4g}", (panel,))


FIGURE = Figure(
    "target",
    "One point per trial that reached the target, at its first evaluation above it.",
    table,
    draw,
)
