"""Figure: one figure of a run, all that the package knows of it in one record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from schedsearch.report.figures.chart import Chart
    from schedsearch.report.snapshot import Snapshot


@dataclass(frozen=True)
class Figure:
    """One figure of a run.

    Args:
        name: its name, as in `schedsearch plot --kind`.
        about: how to read it, in a sentence or two.
        table: computes its numbers; returns no rows where the run has nothing for it.
        draw: draws a table that has rows.
        in_dashboard: whether the Optuna dashboard shows it too, on the page of each study.
    """

    name: str
    about: str
    table: Callable[[Snapshot], pd.DataFrame]
    draw: Callable[[pd.DataFrame], Chart]
    in_dashboard: bool = False
