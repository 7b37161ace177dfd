"""Range test: the training loss while the rate rises, and the range of rates that follows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from schedsearch.imports import lazy
from schedsearch.report.figures.chart import Axis, Chart, Guide, Panel, Series
from schedsearch.report.figures.figure import Figure
from schedsearch.report.figures.scales import loss_axis

if TYPE_CHECKING:
    import pandas as pd

    from schedsearch.report.snapshot import Snapshot
else:
    pd = lazy("pandas")

COLUMNS = ("line", "step", "lr", "loss", "what", "low", "high")
SMOOTHED = "mean of the seeds, smoothed"
_ABOVE = 1.0  # times the fall above the first loss: a higher one would hide the others


def table(run: Snapshot) -> pd.DataFrame:
    """Return one row per step of each seed and of their smoothed mean, with COLUMNS.

    Infinite losses are left out. `what` names the two steps that decide the range `low` to `high`.
    """
    test = run.range_test()
    if test is None:
        return pd.DataFrame([], columns=list(COLUMNS))
    low, high = test.chosen
    lines = {f"seed {i}": losses for i, losses in enumerate(test.losses, start=1)}
    marked = {(SMOOTHED, test.begun_at + 1): "a quarter of the fall"}
    marked |= {(SMOOTHED, test.lowest_at + 1): "lowest"}
    rows = [
        (line, step, lr, loss, marked.get((line, step), ""), low, high)
        for line, losses in (lines | {SMOOTHED: test.smoothed}).items()
        for step, (lr, loss) in enumerate(zip(test.rates, losses, strict=False), start=1)
        if math.isfinite(loss)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def draw(steps: pd.DataFrame) -> Chart:
    """Draw the seeds' losses as points and their smoothed mean as a line, until they diverge."""
    first, lowest = float(steps["loss"].iloc[0]), float(steps["loss"].min())
    seen = steps[steps["loss"] <= first + _ABOVE * (first - lowest)]
    mean = seen[seen["line"] == SMOOTHED]
    marked, seeds = mean[mean["what"] != ""], seen[seen["line"] != SMOOTHED]
    series = (
        Series(
            "a step of a seed", "points", tuple(seeds["lr"]), tuple(seeds["loss"]), mark="pruned"
        ),
        Series(SMOOTHED, "line", tuple(mean["lr"]), tuple(mean["loss"]), SMOOTHED),
        Series(
            " and ".join(marked["what"]),
            "points",
            tuple(marked["lr"]),
            tuple(marked["loss"]),
            tuple(f"{row.what}: {row.lr:.3g}" for row in marked.itertuples()),
        ),
    )
    low, high = float(steps["low"].iloc[0]), float(steps["high"].iloc[0])
    least, most = (round(math.log10(rate)) for rate in (steps["lr"].min(), steps["lr"].max()))
    ticks = tuple((10.0**n, f"1e{n}" if n else "1") for n in range(least, most + 1))
    panel = Panel(
        Axis("learning rate", log=True, ticks=ticks),
        loss_axis(seen["loss"], "training loss"),
        series,
        (Guide(low, f"from {low:g}"), Guide(high, f"to {high:g}")),
    )
    return Chart("Range test: the loss while the rate rises", (panel,))


FIGURE = Figure(
    "range_test",
    (
        "The loss on the same training batches after each step while the rate rises exponentially, "
        "on a few seeds, and their mean, smoothed. From the rates where a quarter of its fall is "
        "done and where it is lowest follow the two decades that are searched."
    ),
    table,
    draw,
)
