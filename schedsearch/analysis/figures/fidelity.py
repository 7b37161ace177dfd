"""Fidelity: what a trial reached at a short horizon, against what it reached at the full one."""

import pandas as pd

from schedsearch.analysis.figures.chart import Axis, Chart, Panel
from schedsearch.analysis.figures.scales import loss_axis
from schedsearch.analysis.figures.trials import points, trials_table
from schedsearch.analysis.snapshot import Snapshot

COLUMNS = ("family", "trial", "state", "words", "horizon", "short", "final", "name")


def table(run: Snapshot) -> pd.DataFrame:
    """Return a row for each shorter horizon that a finished trial came through, COLUMNS."""
    trials = trials_table(run, "study", run.objective)
    trials = trials[trials["state"] == "finished"]
    full = run.config.training.total_steps
    short = run.rungs[run.rungs["horizon"] < full][["study", "trial", "horizon", run.objective]]
    joined = trials.merge(short, on=["study", "trial"], suffixes=("", "_short"))
    joined = joined.assign(final=joined[run.objective], short=joined[f"{run.objective}_short"])
    return joined.assign(name=run.objective)[list(COLUMNS)].sort_values("horizon", kind="stable")


def draw(pairs: pd.DataFrame) -> Chart:
    """Draw a panel for each shorter horizon, a point a trial, with the rank correlation."""
    panels = []
    percent = pairs["name"].iloc[0] == "val_accuracy"
    what = "accuracy" if percent else "loss"
    for horizon, rows in pairs.groupby("horizon"):
        label = f"validation {what} at {horizon} steps"
        if len(rows) >= 4:
            ranks = rows["short"].rank().corr(rows["final"].rank())
            label += f" (rank correlation {ranks:.2f}, {len(rows)} trials)"
        x, y = (
            Axis(text, percent=True) if percent else loss_axis(rows[side], text)
            for text, side in ((label, "short"), (f"final validation {what}", "final"))
        )
        series = tuple(points(rows, lambda t: t["short"], lambda t: t["final"]))
        panels.append(Panel(x, y, series))
    return Chart("What the short horizons said", tuple(panels))
