"""Peak rate: the final value of every trial against its peak rate, with the range's edges."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schedsearch.objective import objective_in
from schedsearch.report.figures.chart import Axis, Chart, Guide, Panel
from schedsearch.report.figures.figure import Figure
from schedsearch.report.figures.scales import objective_axis
from schedsearch.report.figures.trials import points, shelf, trials_table

if TYPE_CHECKING:
    import pandas as pd

    from schedsearch.report.snapshot import Snapshot


def table(run: Snapshot) -> pd.DataFrame:
    """Return one row per trial: its peak_lr, its final value, and the low and high of the range."""
    found = trials_table(run, "peak_lr", run.objective.name)
    found[run.objective.name] = found[run.objective.name].where(found["state"] != "diverged")
    low, high = run.searched_rates()
    return found.assign(low=low, high=high)


def draw(trials: pd.DataFrame) -> Chart:
    """Draw one point per trial; diverged trials stand on a line at the bad end."""
    objective = objective_in(trials)
    name = objective.name
    axis = objective_axis(objective, trials[name].dropna(), f"final {objective.words}")
    beyond = shelf(trials[name], axis.log) if objective.minimizes else 0.0
    low, high = float(trials["low"].iloc[0]), float(trials["high"].iloc[0])
    guides = (Guide(low, "lowest"), Guide(high, "highest")) if low < high else ()
    series = tuple(points(trials, lambda t: t["peak_lr"], lambda t: t[name].fillna(beyond)))
    panel = Panel(Axis("peak_lr, the peak learning rate", log=True), axis, series, guides)
    return Chart("Peak rate and final value", (panel,))


FIGURE = Figure(
    "peak_lr",
    (
        "One point per trial; the lines mark the edges of the searched range. A best value at an "
        "edge asks for a wider range."
    ),
    table,
    draw,
)
