"""Target: how many steps the trials of each family took to the task's target accuracy."""

import pandas as pd

from schedsearch.analysis.figures.chart import Axis, Chart, Panel
from schedsearch.analysis.figures.trials import points, trials_table, wrapped
from schedsearch.analysis.snapshot import Snapshot
from schedsearch.storage.records import read_result


def table(run: Snapshot) -> pd.DataFrame:
    """Return a row for each trial that got there: its steps_to_target, and the target_accuracy."""
    trials = trials_table(run, "steps_to_target")
    trials = trials[trials["steps_to_target"].notna()].reset_index(drop=True)
    results = (read_result(trial) for trial in run.stored.values())
    targets = [r["target_accuracy"] for r in results if r.get("target_accuracy") is not None]
    return trials.assign(target_accuracy=targets[0] if targets else float("nan"))


def draw(trials: pd.DataFrame) -> Chart:
    """Draw a row of points for each family, the one that is there first on top."""
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
