"""Base rate: the final value of every trial against its peak rate, with the range's edges."""

import pandas as pd

from schedsearch.analysis.edges import searched_rates
from schedsearch.analysis.figures.chart import Axis, Chart, Guide, Panel
from schedsearch.analysis.figures.scales import objective_axis
from schedsearch.analysis.figures.trials import points, shelf, trials_table
from schedsearch.analysis.snapshot import Snapshot


def table(run: Snapshot) -> pd.DataFrame:
    """Return a row a trial: its base_lr, its final value, and the low and high of the range."""
    found = trials_table(run, "base_lr", run.objective)
    found[run.objective] = found[run.objective].where(found["state"] != "diverged")
    low, high = searched_rates(run.attributes, run.config)
    return found.assign(low=low, high=high)


def draw(trials: pd.DataFrame) -> Chart:
    """Draw a point a trial; what diverged stands on a shelf at the bad end."""
    name = "val_loss" if "val_loss" in trials else "val_accuracy"
    axis = objective_axis(name, trials[name].dropna())
    beyond = shelf(trials[name], axis.log) if name == "val_loss" else 0.0
    low, high = float(trials["low"].iloc[0]), float(trials["high"].iloc[0])
    guides = (Guide(low, "lowest"), Guide(high, "highest")) if low < high else ()
    series = tuple(points(trials, lambda t: t["base_lr"], lambda t: t[name].fillna(beyond)))
    panel = Panel(Axis("base_lr, the peak learning rate", log=True), axis, series, guides)
    return Chart("Base rate and final value", (panel,))
