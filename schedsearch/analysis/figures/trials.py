"""What figures of all trials share: a row a trial with its words, and points in three states."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from schedsearch.analysis.figures.chart import Mark, Series
from schedsearch.analysis.snapshot import Snapshot
from schedsearch.analysis.wording import trial_in_words

STATES: tuple[Mark, ...] = ("finished", "diverged", "pruned")


def trials_table(run: Snapshot, *columns: str) -> pd.DataFrame:
    """Return a row for each trial that is over, families in the order of their best.

    Args:
        run: which run.
        columns: what to take of `frames.TRIAL_COLUMNS`, beside family, trial, state and words.
    """
    ended = run.ended().reset_index(drop=True)
    words = pd.Series([trial_in_words(row) for row in ended.itertuples()], dtype="object")
    taken = ended[["family", "trial", "state", *columns]].assign(words=words)
    rank = {family: i for i, family in enumerate(run.families())}
    return taken.sort_values("family", key=lambda f: f.map(rank), kind="stable", ignore_index=True)


def points(
    trials: pd.DataFrame,
    x: Callable[[pd.DataFrame], pd.Series],
    y: Callable[[pd.DataFrame], pd.Series],
) -> Iterator[Series]:
    """Give the points of each family, those of each state by themselves."""
    for (family, state), rows in trials.groupby(["family", "state"], sort=False):
        name = str(family) if state == "finished" else f"{family}, {state}"
        mark = next(s for s in STATES if s == state)
        at = (tuple(map(float, x(rows))), tuple(map(float, y(rows))))
        yield Series(name, "points", *at, tuple(rows["words"]), str(family), mark)


def shelf(values: pd.Series, log: bool) -> float:
    """Return a place beyond all finite values, for trials that have none.

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
    r"""Break a long family's name in two lines, where a word begins.

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
