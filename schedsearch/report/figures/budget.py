"""Budget: the steps and the seconds of training that each family took."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schedsearch.imports import lazy
from schedsearch.report.figures.chart import Axis, Chart, Panel, Series
from schedsearch.report.figures.figure import Figure
from schedsearch.report.figures.trials import STATES, wrapped

if TYPE_CHECKING:
    import pandas as pd

    from schedsearch.report.snapshot import Snapshot
else:
    pd = lazy("pandas")


def table(run: Snapshot) -> pd.DataFrame:
    """Return one row per family, best first: trials, steps, seconds, and trials in each state."""
    ended = run.ended()
    groups = dict(tuple(ended.groupby("family")))
    rows = [
        {
            "family": family,
            "trials": len(groups[family]),
            "steps": int(run.spent(groups[family]).sum()),
            "seconds": float(groups[family]["seconds"].fillna(0.0).sum()),
            **{state: int((groups[family]["state"] == state).sum()) for state in STATES},
        }
        for family in run.families()
        if family in groups
    ]
    return pd.DataFrame(rows, columns=["family", "trials", "steps", "seconds", *STATES])


def draw(budget: pd.DataFrame) -> Chart:
    """Draw one bar per family, in steps and in seconds."""
    positions = {str(family): float(i) for i, family in enumerate(budget["family"])}
    ticks = tuple((position, wrapped(family)) for family, position in positions.items())
    y = Axis("", ticks=ticks, reverse=True, span=(-0.6, len(positions) - 0.4))

    def panel(column: str, label: str) -> Panel:
        bars = []
        for row in budget.to_dict("records"):
            family = str(row["family"])
            states = ", ".join(f"{row[state]} {state}" for state in STATES if row[state])
            words = f"{family}: {row['steps']:,} steps, {row['seconds']:.1f} s\n{states}"
            amount = (float(row[column]),)
            bars.append(Series(family, "bars", amount, (positions[family],), (words,), family))
        return Panel(Axis(label), y, tuple(bars), (), len(positions))

    return Chart(
        "What each family took",
        (panel("steps", "optimizer steps"), panel("seconds", "seconds of training")),
    )


FIGURE = Figure(
    "budget",
    "Training only; evaluation, sampling and storing are not counted.",
    table,
    draw,
)
