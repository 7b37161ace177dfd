"""Range test: the training loss while the rate rises, and the range of rates that follows."""

import math

import pandas as pd

from schedsearch.analysis.figures.chart import Axis, Chart, Guide, Panel, Series
from schedsearch.analysis.figures.scales import loss_axis
from schedsearch.analysis.snapshot import Snapshot
from schedsearch.storage.records import RANGE_TEST
from schedsearch.training.range_test import RangeTest

COLUMNS = ("line", "step", "lr", "loss", "low", "centre", "high")
SMOOTHED = "mean, smoothed"
_ABOVE = 2.0  # times the first loss: what is higher has diverged, and would hide the rest


def table(run: Snapshot) -> pd.DataFrame:
    """Return a row a step, COLUMNS: of each seed, and of their mean, smoothed; no infinite loss."""
    stored = run.attributes.get(RANGE_TEST)
    if stored is None:
        return pd.DataFrame([], columns=list(COLUMNS))
    test = RangeTest.from_dict(stored)
    low, high = test.chosen
    lines = {f"seed {i}": losses for i, losses in enumerate(test.losses, start=1)}
    rows = [
        (line, step, lr, loss, low, test.rates[test.steepest_at], high)
        for line, losses in (lines | {SMOOTHED: test.smoothed}).items()
        for step, (lr, loss) in enumerate(zip(test.rates, losses, strict=True), start=1)
        if math.isfinite(loss)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def draw(steps: pd.DataFrame) -> Chart:
    """Draw a line a seed and their smoothed mean, as far as it has not diverged."""
    seen = steps[steps["loss"] <= _ABOVE * float(steps["loss"].iloc[0])]
    lines = tuple(
        Series(str(line), "line", tuple(rows["lr"]), tuple(rows["loss"]), str(line), None)
        for line, rows in seen.groupby("line", sort=False)
    )
    row = steps.iloc[0]
    guides = tuple(
        Guide(float(row[name]), text)
        for name, text in (("low", "lowest"), ("centre", "steepest"), ("high", "highest"))
    )
    y = loss_axis(seen["loss"], "training loss")
    panel = Panel(Axis("learning rate", log=True), y, lines, guides)
    return Chart("Range test: which learning rates can train this at all", (panel,))
