"""Importance: how much of the differences between trials each parameter explains (fANOVA).

Over all families, only the parameters that all trials share are compared. The parameters of one
family are compared among its own trials, if there are enough of them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from schedsearch.imports import lazy
from schedsearch.report.figures.chart import Axis, Chart, Panel, Series
from schedsearch.report.figures.figure import Figure
from schedsearch.report.figures.trials import wrapped

if TYPE_CHECKING:
    import pandas as pd

    from schedsearch.report.snapshot import Snapshot
else:
    pd = lazy("pandas")

COLUMNS = ("among", "param", "importance", "trials")
FEWEST_TRIALS = 20
MOST_FAMILIES = 6
ALL = "all families"


def table(run: Snapshot) -> pd.DataFrame:
    """Return one row per parameter that trials share, with COLUMNS; `among` is ALL or a family."""
    from schedsearch.report.main_effects import main_effects

    finished = run.trials[run.trials["state"] == "finished"]
    values = finished[run.objective.name]
    if run.objective.minimizes:  # by ratio: good trials differ less
        values = values.clip(lower=1e-12).map(math.log)
    groups = {ALL: finished} if finished["family"].nunique() > 1 else {}
    groups |= {name: finished[finished["family"] == name] for name in run.families()}
    rows: list[tuple[str, str, float, int]] = []
    for among, group in groups.items():
        shown = {row[0] for row in rows}
        if len(group) < FEWEST_TRIALS or len(shown - {ALL}) == MOST_FAMILIES:
            continue
        keys = zip(group["study"], group["trial"], strict=True)
        trials = [run.stored[key] for key in keys]
        effects = main_effects(trials, list(values[group.index]), "" if among == ALL else "family")
        if len(effects) > 1:  # a single parameter would explain all
            found = sorted(effects.items(), key=lambda item: -item[1])
            rows += [(among, k.removeprefix(f"{among}."), v, len(group)) for k, v in found]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def draw(importances: pd.DataFrame) -> Chart:
    """Draw one panel of bars for all families together, and one per family with enough trials."""
    panels = []
    for among, rows in importances.groupby("among", sort=False):
        family = None if among == ALL else str(among)
        trials = int(rows["trials"].iloc[0])
        words = tuple(
            f"{r.param}: {r.importance:.0%}\nof {trials} trials" for r in rows.itertuples()
        )
        positions = tuple(float(i) for i in range(len(rows)))
        ticks = tuple(zip(positions, map(wrapped, rows["param"]), strict=True))
        series = Series(str(among), "bars", tuple(rows["importance"]), positions, words, family)
        y = Axis("", ticks=ticks, reverse=True, span=(-0.6, len(rows) - 0.4))
        x = Axis(f"fraction explained, {trials} trials\n{among}", percent=True, span=(0.0, 1.0))
        panels.append(Panel(x, y, (series,), (), len(rows)))
    return Chart("Which parameters matter", tuple(panels))


FIGURE = Figure(
    "importance",
    (
        "The fraction of the differences in the final value that a parameter explains by itself "
        "(fANOVA), among finished trials that all have it. A family's own parameters are compared "
        f"among its own trials, from {FEWEST_TRIALS} up, for the "
        f"{MOST_FAMILIES} best such families."
    ),
    table,
    draw,
)
