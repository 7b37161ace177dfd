"""Confirmation: the finalists on fresh seeds, with intervals, the winner first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schedsearch.objective import find_objective
from schedsearch.report.figures.chart import Axis, Chart, Panel, Series
from schedsearch.report.figures.figure import Figure

if TYPE_CHECKING:
    import pandas as pd

    from schedsearch.report.snapshot import Snapshot


def table(run: Snapshot) -> pd.DataFrame:
    """Return the finalists that diverged on no seed; see `claim.CONFIRMATION_COLUMNS`."""
    frame = run.finalists()
    return frame[frame["mean"].notna()].assign(name=run.objective.name)


def draw(finalists: pd.DataFrame) -> Chart:
    """Draw each mean with its interval; hollow if it can be told apart from the winner."""
    series, ticks = [], []
    for position, row in enumerate(finalists.to_dict("records")):
        family, label = str(row["family"]), str(row["schedule"])
        interval = f"{row['mean']:.4g} ({row['low']:.4g} to {row['high']:.4g})"
        words = f"{label}\n{interval}, {row['seeds']} seeds"
        if position:
            apart = "can" if row["told_apart"] else "can't"
            words += f"\n{apart} be told apart from the winner"
        ticks.append((float(position), label.replace(" (", "\n(")))
        series.append(
            Series(
                *(family, "points", (float(row["mean"]),), (float(position),), (words,), family),
                mark="pruned" if row["told_apart"] else "finished",
                low=(float(row["low"]),),
                high=(float(row["high"]),),
            )
        )
    objective = find_objective(str(finalists["name"].iloc[0]))
    what = f"mean final {objective.words}\nover {finalists['seeds'].iloc[0]} fresh seeds"
    x = Axis(what, percent=not objective.minimizes)
    y = Axis("", ticks=tuple(ticks), reverse=True, span=(-0.6, len(ticks) - 0.4))
    return Chart("Confirmation on fresh seeds", (Panel(x, y, tuple(series), (), len(ticks)),))


FIGURE = Figure(
    "confirmation",
    (
        "Means over fresh seeds with their 95% intervals, the winner on top. Hollow: it can be "
        "told apart from the winner."
    ),
    table,
    draw,
    in_dashboard=True,
)
