"""Parts that figures of all trials share: the table of trials, and points in three states."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from schedsearch.imports import lazy
from schedsearch.report.figures.chart import Mark, Series
from schedsearch.report.wording import trial_in_words

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from schedsearch.report.snapshot import Snapshot
else:
    pd = lazy("pandas")
    np = lazy("numpy")

STATES: tuple[Mark, ...] = ("finished", "diverged", "pruned")


def trials_table(run: Snapshot, *columns: str) -> pd.DataFrame:
    """Return one row per trial that has ended, with families in the order of their best.

    Args:
        run: the run.
        columns: columns of `frames.TRIAL_COLUMNS`, added to family, trial, state and words.
    """
    ended = run.ended().reset_index(drop=True)
    words = pd.Series([trial_in_words(row) for row in run.rows(ended)], dtype="object")
    taken = ended[["family", "trial", "state", *columns]].assign(words=words)
    rank = {family: i for i, family in enumerate(run.families())}
    return taken.sort_values("family", key=lambda f: f.map(rank), kind="stable", ignore_index=True)


def points(
    trials: pd.DataFrame,
    x: Callable[[pd.DataFrame], pd.Series],
    y: Callable[[pd.DataFrame], pd.Series],
) -> Iterator[Series]:
    """Yield the points of each family and state."""
    for (family, state), rows in trials.groupby(["family", "state"], sort=False):
        name = str(family) if state == "finished" else f"{family}, {state}"
        mark = next(s for s in STATES if s == state)
        at = (tuple(map(float, x(rows))), tuple(map(float, y(rows))))
        yield Series(name, "points", *at, tuple(rows["words"]), str(family), mark)


def shelf(values: pd.Series, log: bool) -> float:
    """Return a position beyond all finite values, for trials without a finite value.

    >>> shelf(pd.Series([1.0, 2.0]), log=False)
    2.12
    """
    finite = values[np.isfinite(values)]
    if finite.empty:
        return 1.0
    low, high = float(finite.min()), float(finite.max())
    if low == high:
        return high * 1.1 if high else 1.0
    return high * (high / low) ** 0.12 if log else high + 0.12 * (high - low)


def wrapped(family: str, most: int = 18) -> str:
    r"""Return a long family's name on two lines, broken where a word begins.

    >>> wrapped("ReduceLROnPlateau+CosineAnnealingLR"), wrapped("StepLR")
    ('ReduceLROnPlateau+\nCosineAnnealingLR', 'StepLR')
    >>> wrapped("CosineAnnealingWarmRestarts")
    'CosineAnnealing\nWarmRestarts'
    """
    if len(family) <= most:
        return family
    plus = family.find("+") + 1
    starts = (
        [plus]
        if plus
        else [
            i
            for i, c in enumerate(family)
            if i and ((c.isupper() and family[i - 1].islower()) or family[i - 1] in ":._")
        ]
    )
    if not starts:
        return family
    at = min(starts, key=lambda i: abs(i - len(family) / 2))
    return f"{family[:at]}\n{family[at:]}"
