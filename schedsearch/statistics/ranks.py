"""How well one measure ranks the same things as another."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from schedsearch.imports import lazy
from schedsearch.statistics.intervals import Estimate

if TYPE_CHECKING:
    from scipy import stats
else:
    stats = lazy("scipy.stats")

LEAST_PAIRS = 6
"""With fewer pairs, a perfect order is too often chance for an interval: 1 in 120 with five."""


def rank_correlation(one: ArrayLike, other: ArrayLike, level: float = 0.95) -> Estimate:
    """Return Spearman's rank correlation of pairs, with its interval (bootstrap over pairs).

    Infinite values rank as extremes. If all values of one measure are equal, the correlation is 0.

    >>> rank_correlation([1, 2, 3, 4, 5, 6, 7], [1, 3, 2, 4, 5, 7, 6]).value.__round__(2)
    0.93
    """
    pairs = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    count = len(pairs[0])
    value = float(_spearman(*pairs)) if count > 1 else np.nan
    if count < LEAST_PAIRS:
        return Estimate(value, np.nan, np.nan, count)
    found = stats.bootstrap(
        pairs,
        _spearman,
        paired=True,
        vectorized=True,
        confidence_level=level,
        method="percentile",
        rng=np.random.default_rng(0),  # equal pairs give equal intervals
        n_resamples=2000,
    ).confidence_interval
    return Estimate(value, float(found.low), float(found.high), count)


def _spearman(one: Any, other: Any, axis: int = -1) -> Any:
    """Correlate the ranks along an axis."""
    centred = []
    for each in (one, other):
        ranks = stats.rankdata(each, axis=axis)
        centred.append(ranks - ranks.mean(axis=axis, keepdims=True))
    scale = np.sqrt((centred[0] ** 2).sum(axis=axis) * (centred[1] ** 2).sum(axis=axis))
    together = (centred[0] * centred[1]).sum(axis=axis)
    return np.divide(together, scale, out=np.zeros_like(scale), where=scale > 0)
