"""Fidelity: the value of a trial at a short horizon against its value at the full horizon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schedsearch.report.figures.chart import Chart, Panel
from schedsearch.report.figures.compared import (
    OBJECTIVE_COLUMNS,
    objective_of,
    with_objective,
)
from schedsearch.report.figures.figure import Figure
from schedsearch.report.figures.scales import objective_axis
from schedsearch.report.figures.trials import points, trials_table

if TYPE_CHECKING:
    import pandas as pd

    from schedsearch.report.snapshot import Snapshot

COLUMNS = (
    *("family", "trial", "state", "words", "horizon", "at", "short", "final"),
    *OBJECTIVE_COLUMNS,
)


def table(run: Snapshot) -> pd.DataFrame:
    """Return one row per shorter horizon that a finished trial passed, with COLUMNS."""
    trials = trials_table(run, "study", run.objective.name)
    trials = trials[trials["state"] == "finished"]
    full = run.config.training.total_steps
    short = run.rungs[run.rungs["horizon"] < full][
        ["study", "trial", "horizon", run.objective.name]
    ]
    joined = trials.merge(short, on=["study", "trial"], suffixes=("", "_short"))
    joined = joined.assign(
        final=joined[run.objective.name], short=joined[f"{run.objective.name}_short"]
    )
    joined["at"] = joined["horizon"].map(run.config.training.unit.say)
    joined = with_objective(joined, run.objective)[list(COLUMNS)]
    return joined.sort_values("horizon", kind="stable")


def draw(pairs: pd.DataFrame) -> Chart:
    """Draw one panel per shorter horizon, one point per trial, with the rank correlation."""
    panels = []
    objective = objective_of(pairs)
    for _, rows in pairs.groupby("horizon"):
        label = f"{objective.words} at {rows['at'].iloc[0]}"
        if len(rows) >= 4:
            ranks = rows["short"].rank().corr(rows["final"].rank())
            label += f" (rank correlation {ranks:.2f}, {len(rows)} trials)"
        x, y = (
            objective_axis(objective, rows[side], text)
            for text, side in ((label, "short"), (f"final {objective.words}", "final"))
        )
        series = tuple(points(rows, lambda t: t["short"], lambda t: t["final"]))
        panels.append(Panel(x, y, series))
    return Chart("What the short horizons said", tuple(panels))


FIGURE = Figure(
    "fidelity",
    (
        "What a short horizon said of the trials that went on to the full one: the closer to a "
        "rising line, the safer it is to stop the others there."
    ),
    table,
    draw,
)
