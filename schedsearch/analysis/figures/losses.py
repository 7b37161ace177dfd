"""Losses: the final value of every trial, by family; diverged and pruned ones marked."""

import pandas as pd

from schedsearch.analysis.figures.chart import Axis, Chart, Guide, Panel
from schedsearch.analysis.figures.scales import objective_axis
from schedsearch.analysis.figures.trials import points, shelf, trials_table, wrapped
from schedsearch.analysis.snapshot import Snapshot


def table(run: Snapshot) -> pd.DataFrame:
    """Return family, trial, state, words and the final value (missing for what diverged)."""
    found = trials_table(run, run.objective)
    found[run.objective] = found[run.objective].where(found["state"] != "diverged")
    return found


def draw(trials: pd.DataFrame) -> Chart:
    """Draw a row of points for each family, the best family on top."""
    name = "val_loss" if "val_loss" in trials else "val_accuracy"
    axis = objective_axis(name, trials[name].dropna())
    beyond = shelf(trials[name], axis.log) if name == "val_loss" else 0.0
    families = list(dict.fromkeys(trials["family"]))
    row_of = {family: i for i, family in enumerate(families)}
    scattered = (trials["trial"] * 0.618034 % 1 - 0.5) * 0.6  # so that equal values are seen

    def y(rows: pd.DataFrame) -> pd.Series:
        return rows["family"].map(row_of) + scattered[rows.index]

    ticks = tuple((float(i), wrapped(family)) for family, i in row_of.items())
    rows = Axis("", ticks=ticks, reverse=True, span=(-0.6, len(families) - 0.4))
    guides = (Guide(beyond, "diverged"),) if (trials["state"] == "diverged").any() else ()
    series = tuple(points(trials, lambda rows: rows[name].fillna(beyond), y))
    panel = Panel(axis, rows, series, guides, len(families))
    return Chart(f"Final {axis.label.removeprefix('final ')} of every trial", (panel,))
