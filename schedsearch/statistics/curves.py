"""Measures of curves: steps to a target, area, loss on the way, best so far, profiles."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from schedsearch.imports import lazy

if TYPE_CHECKING:
    from scipy import stats
else:
    stats = lazy("scipy.stats")

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Reached:
    """When trainings reached a target, of which some may have missed it.

    Args:
        median: the Kaplan-Meier median, in steps; infinite if fewer than half reach the target.
        low: the lower end of its interval; NaN for fewer than two trainings.
        high: the upper end of its interval; infinite if the trainings can't tell.
        reached: the number of trainings that reached the target.
        missed: the number of trainings that did not reach it while they were observed.
    """

    median: float
    low: float
    high: float
    reached: int
    missed: int


def steps_to_target(
    reached: ArrayLike, missed_after: ArrayLike = (), level: float = 0.95
) -> Reached:
    """Estimate the steps to a target from trainings that reached it and trainings that missed it.

    Args:
        reached: the steps at which trainings reached the target.
        missed_after: censoring time of each training that missed the target: the horizon, also if
            it diverged; the steps that it was trained, if it was pruned.
        level: the interval's confidence (log-log transformed Greenwood).

    >>> steps_to_target([10, 20, 30], [100])
    Reached(median=20.0, low=10.0, high=inf, reached=3, missed=1)
    """
    hits, misses = np.asarray(reached, dtype=float), np.asarray(missed_after, dtype=float)
    trainings = len(hits) + len(misses)
    if not len(hits):
        return Reached(np.inf, np.nan if trainings < 2 else np.inf, np.inf, 0, len(misses))
    survival = stats.ecdf(stats.CensoredData(uncensored=hits, right=misses)).sf
    steps, left = survival.quantiles, survival.probabilities
    median = _first(steps, left)
    if trainings < 2:
        return Reached(median, np.nan, np.nan, len(hits), len(misses))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # undefined if all or none reached it
        ends = survival.confidence_interval(level, method="log-log")
    lows = np.where(np.isnan(ends.low.probabilities), left, ends.low.probabilities)
    highs = np.where(np.isnan(ends.high.probabilities), 1.0, ends.high.probabilities)
    return Reached(median, _first(steps, lows), _first(steps, highs), len(hits), len(misses))


def _first(steps: Floats, survival: Floats) -> float:
    """Return the first step at which at most half have not reached the target."""
    under = np.flatnonzero(survival <= 0.5 + 1e-12)
    return float(steps[under[0]]) if len(under) else float(np.inf)


def area_under(steps: ArrayLike, losses: ArrayLike, initial_loss: float) -> float:
    """Return the mean loss over a training: the area under its curve, divided by its steps.

    >>> area_under([50, 100], [2.0, 1.0], initial_loss=4.0)
    2.25
    """
    xs = np.concatenate([[0.0], np.asarray(steps, dtype=float)])
    ys = np.concatenate([[initial_loss], np.asarray(losses, dtype=float)])
    return float(np.trapezoid(ys, xs) / xs[-1])


def at_fraction(steps: ArrayLike, values: ArrayLike, fraction: float, total_steps: int) -> float:
    """Return the last value seen by a fraction of the horizon; NaN before the first.

    >>> at_fraction([25, 50, 75, 100], [4.0, 3.0, 2.0, 1.0], 0.6, 100)
    3.0
    """
    seen = np.flatnonzero(np.asarray(steps, dtype=float) <= fraction * total_steps + 1e-9)
    return float(np.asarray(values, dtype=float)[seen[-1]]) if len(seen) else float(np.nan)


def best_so_far(losses: ArrayLike) -> Floats:
    """Return the lowest loss up to each index; infinite before the first finite one.

    >>> best_so_far([3.0, float("nan"), 2.0, 5.0]).tolist()
    [3.0, 3.0, 2.0, 2.0]
    """
    array = np.asarray(losses, dtype=float)
    return np.minimum.accumulate(np.where(np.isfinite(array), array, np.inf))


def performance_profile(costs: ArrayLike, ratios: Sequence[float]) -> Floats:
    """Return the fraction of problems that each solver solves within a ratio of the lowest cost.

    Dolan & Moré 2002. A problem that no solver solves counts as a failure of every solver.

    Args:
        costs: `[solvers, problems]`, above zero; infinite if a solver fails.
        ratios: at least 1.

    Returns:
        `[solvers, ratios]`.

    >>> performance_profile([[10.0, 40.0], [20.0, 20.0]], [1.0, 2.0]).tolist()
    [[0.5, 1.0], [0.5, 1.0]]
    """
    array = np.asarray(costs, dtype=float)
    if array.ndim != 2 or not (array > 0).all():
        raise ValueError("costs must be numbers above zero [solvers, problems]")
    if not array.size:
        return np.zeros((len(array), len(ratios)))
    with np.errstate(invalid="ignore"):
        ratio = array / array.min(axis=0)  # infinite over infinite is not a number: not solved
    return np.stack([(ratio <= r + 1e-12).mean(axis=1) for r in ratios], axis=1)
