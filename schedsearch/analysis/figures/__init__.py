"""FIGURES: what is drawn of a run. Each computes a table of numbers first, and draws it then."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from schedsearch.analysis.figures import (
    base_lr,
    budget,
    compute,
    confirmation,
    convergence,
    fidelity,
    importance,
    losses,
    range_test,
    rates,
    target,
    winner,
)
from schedsearch.analysis.figures.chart import Chart
from schedsearch.analysis.snapshot import Snapshot
from schedsearch.errors import ScheduleError, unknown

__all__ = ["FIGURES", "Chart", "Figure", "find_figure"]


@dataclass(frozen=True)
class Figure:
    """One figure.

    Args:
        name: its name, as in `schedsearch plot --kind`.
        about: how to read it, in a sentence or two.
        table: computes its numbers; no rows where the run has nothing for it.
        draw: draws a table that has rows.
    """

    name: str
    about: str
    table: Callable[[Snapshot], pd.DataFrame]
    draw: Callable[[pd.DataFrame], Chart]


# In the order of the report.
FIGURES: tuple[Figure, ...] = (
    Figure(
        "winner",
        "The rate at each step of the best run, and what its losses did meanwhile.",
        winner.table,
        winner.draw,
    ),
    Figure(
        "confirmation",
        "Means over fresh seeds with their 95% intervals, the winner on top. Hollow: it can be "
        "told apart from the winner.",
        confirmation.table,
        confirmation.draw,
    ),
    Figure(
        "convergence",
        "The best of each family, on the data that no step was taken with. Where accuracies come "
        "close to 100%, the scale shows the errors that are left.",
        convergence.table,
        convergence.draw,
    ),
    Figure(
        "rates",
        "What the real scheduler gave at each step of the same runs.",
        rates.table,
        rates.draw,
    ),
    Figure(
        "families",
        "A point a trial, the best family on top. Diverged trials are crosses at the right edge, "
        "pruned ones hollow, at the loss they had when they were stopped.",
        losses.table,
        losses.draw,
    ),
    Figure(
        "target",
        "A point for each trial that got there, at its first evaluation that did.",
        target.table,
        target.draw,
    ),
    Figure(
        "compute",
        "The thick line is the best of all trials so far, with a point where it improved; a thin "
        "one the best of its family.",
        compute.table,
        compute.draw,
    ),
    Figure(
        "fidelity",
        "What a short horizon said of the trials that went on to the full one: the closer to a "
        "rising line, the safer it is to stop the others there.",
        fidelity.table,
        fidelity.draw,
    ),
    Figure(
        "range_test",
        "The training loss of each step while the rate rises exponentially, on a few seeds, and "
        "their mean, smoothed. From the rates where that falls fastest and where it is lowest "
        "follow the two decades that are searched.",
        range_test.table,
        range_test.draw,
    ),
    Figure(
        "base_lr",
        "A point a trial; the lines mark the edges of the searched range. A best value at an edge "
        "asks for a wider range.",
        base_lr.table,
        base_lr.draw,
    ),
    Figure(
        "importance",
        "The share of the differences in the final value that a parameter explains by itself "
        "(fANOVA), among finished trials that all have it. A family's own parameters are compared "
        f"among its own trials, from {importance.FEWEST_TRIALS} up, for the "
        f"{importance.MOST_FAMILIES} best such families.",
        importance.table,
        importance.draw,
    ),
    Figure(
        "budget",
        "Training only; evaluation, sampling and storing are not counted.",
        budget.table,
        budget.draw,
    ),
)


def find_figure(name: str) -> Figure:
    """Return the figure of a name.

    Raises:
        ScheduleError: no such figure.
    """
    for figure in FIGURES:
        if figure.name == name:
            return figure
    raise ScheduleError(unknown("kind of figure", name, (f.name for f in FIGURES)))
