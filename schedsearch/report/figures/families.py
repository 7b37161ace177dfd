"""Families: the final value of every trial, by family; diverged and pruned trials are marked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schedsearch.objective import objective_in
from schedsearch.report.figures.chart import Axis, Chart, Guide, Panel
from schedsearch.report.figures.figure import Figure
from schedsearch.report.figures.scales import objective_axis
from schedsearch.report.figures.trials import points, shelf, trials_table, wrapped

if TYPE_CHECKING:
    import pandas as pd

    from schedsearch.report.snapshot import Snapshot


def table(run: Snapshot) -> pd.DataFrame:
    """Return family, trial, state, words and the final value (missing if the trial diverged)."""
    found = trials_table(run, run.objective.name)
    found[run.objective.name] = found[run.objective.name].where(found["state"] != "diverged")
    return found


def draw(trials: pd.DataFrame) -> Chart:
    """Draw one row of points per family, the best family on top."""
    objective = objective_in(trials)
    name = objective.name
    axis = objective_axis(objective, trials[name].dropna(), f"final {objective.words}")
    beyond = shelf(trials[name], axis.log) if objective.minimizes else 0.0
    families = list(dict.fromkeys(trials["family"]))
    row_of = {family: i for i, family in enumerate(families)}
    scattered = (trials["trial"] * 0.618034 % 1 - 0.5) * 0.6  # so that equal values are visible

    def y(rows: pd.DataFrame) -> pd.Series:
        return rows["family"].map(row_of) + scattered[rows.index]

    ticks = tuple((float(i), wrapped(family)) for family, i in row_of.items())
    rows = Axis("", ticks=ticks, reverse=True, span=(-0.6, len(families) - 0.4))
    guides = (Guide(beyond, "diverged"),) if (trials["state"] == "diverged").any() else ()
    series = tuple(points(trials, lambda rows: rows[name].fillna(beyond), y))
    panel = Panel(axis, rows, series, guides, len(families))
    return Chart(f"Final {axis.label.removeprefix('final ')} of every trial", (panel,))


FIGURE = Figure(
    "families",
    (
        "One point per trial, best family on top. Diverged trials are crosses at the right edge, "
        "pruned ones hollow, at the loss they had when they were stopped."
    ),
    table,
    draw,
    in_dashboard=True,
)
