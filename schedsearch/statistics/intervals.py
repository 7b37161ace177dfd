"""Estimates with their intervals."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from schedsearch.imports import lazy

if TYPE_CHECKING:
    from scipy import stats
else:
    stats = lazy("scipy.stats")


@dataclass(frozen=True)
class Estimate:
    """A value with its interval.

    Args:
        value: the value.
        low: the lower end of the interval; NaN if there are too few observations for one.
        high: the upper end of the interval; NaN likewise.
        count: the number of observations.
    """

    value: float
    low: float
    high: float
    count: int


def mean_interval(values: ArrayLike, level: float = 0.95) -> Estimate:
    """Return the mean, with its interval by Student's t.

    >>> mean_interval([1.0, 2.0, 3.0]).value
    2.0
    """
    array = np.asarray(values, dtype=float)
    count = len(array)
    if count == 0:
        return Estimate(np.nan, np.nan, np.nan, 0)
    mean = float(array.mean())
    if count == 1:
        return Estimate(mean, np.nan, np.nan, 1)
    half = float(stats.t.ppf((1 + level) / 2, count - 1) * stats.sem(array))
    return Estimate(mean, mean - half, mean + half, count)


def resampled_interval(
    values: ArrayLike, statistic: Callable[[Any], float], level: float = 0.95
) -> Estimate:
    """Return a statistic of the rows of values, with its percentile interval (bootstrap over rows).

    The resampling is seeded, so that equal values give equal intervals.
    """
    array = np.asarray(values, dtype=float)
    value, count = float(statistic(array)), len(array)
    if count < 2:
        return Estimate(value, np.nan, np.nan, count)
    rows = np.arange(count)
    with np.errstate(all="ignore"):
        found = stats.bootstrap(
            (rows,),
            lambda drawn: statistic(array[drawn]),
            vectorized=False,
            confidence_level=level,
            method="percentile",
            rng=np.random.default_rng(0),
            n_resamples=2000,
        ).confidence_interval
    return Estimate(value, float(found.low), float(found.high), count)
