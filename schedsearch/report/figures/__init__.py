"""FIGURES: what is drawn of a run. Each figure first computes a table of numbers, then draws it.

Listing the figures imports neither pandas nor plotly: they are imported when a figure is made.
"""

from schedsearch.errors import ScheduleError
from schedsearch.named import find_named
from schedsearch.report.figures import (
    budget,
    compute,
    confirmation,
    convergence,
    families,
    fidelity,
    importance,
    peak_lr,
    range_test,
    rates,
    target,
    winner,
)
from schedsearch.report.figures.figure import Figure

# In the order of the report.
FIGURES: tuple[Figure, ...] = (
    winner.FIGURE,
    confirmation.FIGURE,
    convergence.FIGURE,
    rates.FIGURE,
    families.FIGURE,
    target.FIGURE,
    compute.FIGURE,
    fidelity.FIGURE,
    range_test.FIGURE,
    peak_lr.FIGURE,
    importance.FIGURE,
    budget.FIGURE,
)


def find_figure(name: str) -> Figure:
    """Return the figure of a name.

    Raises:
        ScheduleError: no such figure.
    """
    return find_named("kind of figure", name, FIGURES, ScheduleError)
