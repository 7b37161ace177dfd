"""Confirmation: the finalists on fresh seeds, with intervals, the winner first."""

import pandas as pd

from schedsearch.analysis.confirmation import empty_frame
from schedsearch.analysis.figures.chart import Axis, Chart, Panel, Series
from schedsearch.analysis.snapshot import Snapshot


def table(run: Snapshot) -> pd.DataFrame:
    """Return the finalists that diverged on no seed; see `confirmation.CONFIRMATION_COLUMNS`."""
    frame = empty_frame() if run.confirmed is None else run.confirmed.frame()
    return frame[frame["mean"].notna()].assign(name=run.objective)


def draw(finalists: pd.DataFrame) -> Chart:
    """Draw a point with its interval for each; hollow where it can be told apart from the first."""
    series, ticks = [], []
    for place, row in enumerate(finalists.to_dict("records")):
        family, label = str(row["family"]), str(row["schedule"])
        interval = f"{row['mean']:.4g} ({row['low']:.4g} to {row['high']:.4g})"
        words = f"{label}\n{interval}, {row['seeds']} seeds"
        if place:
            apart = "can" if row["told_apart"] else "can't"
            words += f"\n{apart} be told apart from the winner"
        ticks.append((float(place), label.replace(" (", "\n(")))
        series.append(
            Series(
                *(family, "points", (float(row["mean"]),), (float(place),), (words,), family),
                mark="pruned" if row["told_apart"] else "finished",
                low=(float(row["low"]),),
                high=(float(row["high"]),),
            )
        )
    accuracy = finalists["name"].iloc[0] == "val_accuracy"
    what = "validation accuracy" if accuracy else "validation loss"
    x = Axis(f"mean final {what}\nover {finalists['seeds'].iloc[0]} fresh seeds", percent=accuracy)
    y = Axis("", ticks=tuple(ticks), reverse=True, span=(-0.6, len(ticks) - 0.4))
    return Chart("Confirmation on fresh seeds", (Panel(x, y, tuple(series), (), len(ticks)),))
