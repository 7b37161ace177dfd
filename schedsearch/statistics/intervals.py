"""Estimates with their intervals."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats


@dataclass(frozen=True)
class Estimate:
    """A value with its interval, and how many observations it stands on.

    Where these are too few for an interval, its ends are not numbers.
    """

    value: float
    low: float
    high: float
    count: int


def mean_interval(values: ArrayLike, level: float = 0.95) -> Estimate:
    """Give the mean and its interval by Student's t.

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
    """Give a statistic of the rows of values, and its percentile interval by resampling rows.

    The draws are always the same.
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
