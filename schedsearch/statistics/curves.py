"""What curves are compared by: steps to a target, area, loss on the way, best so far, profiles."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Reached:
    """When a target was reached, by runs of which some may have missed it.

    Args:
        median: the Kaplan-Meier median; infinite where fewer than half of the runs get there.
        low: its interval's lower end; not a number for fewer than two runs.
        high: its upper end; infinite where the runs can't say.
        reached: how many runs got there.
        missed: how many did not, as long as they were watched.
    """

    median: float
    low: float
    high: float
    reached: int
    missed: int


def steps_to_target(
    reached: ArrayLike, missed_after: ArrayLike = (), level: float = 0.95
) -> Reached:
    """Estimate the steps to a target from runs that reached it and runs that missed it.

    Args:
        reached: the steps at which runs got there.
        missed_after: for each run that didn't, the steps for which that is known: the horizon,
            also of one that diverged; the steps it was trained, of one that was pruned.
        level: the interval's confidence (log-log transformed Greenwood).

    >>> steps_to_target([10, 20, 30], [100])
    Reached(median=20.0, low=10.0, high=inf, reached=3, missed=1)
    """
    hits, misses = np.asarray(reached, dtype=float), np.asarray(missed_after, dtype=float)
    runs = len(hits) + len(misses)
    if not len(hits):
        return Reached(np.inf, np.nan if runs < 2 else np.inf, np.inf, 0, len(misses))
    survival = stats.ecdf(stats.CensoredData(uncensored=hits, right=misses)).sf
    steps, left = survival.quantiles, survival.probabilities
    median = _first(steps, left)
    if runs < 2:
        return Reached(median, np.nan, np.nan, len(hits), len(misses))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # undefined where all or none got there
        ends = survival.confidence_interval(level, method="log-log")
    lows = np.where(np.isnan(ends.low.probabilities), left, ends.low.probabilities)
    highs = np.where(np.isnan(ends.high.probabilities), 1.0, ends.high.probabilities)
    return Reached(median, _first(steps, lows), _first(steps, highs), len(hits), len(misses))


def _first(steps: Floats, survival: Floats) -> float:
    """Give the first step at which no more than half are still on their way."""
    under = np.flatnonzero(survival <= 0.5 + 1e-12)
    return float(steps[under[0]]) if len(under) else float(np.inf)


def area_under(steps: ArrayLike, losses: ArrayLike, initial_loss: float) -> float:
    """Give the mean loss over a run: the area under its curve, over its steps.

    >>> area_under([50, 100], [2.0, 1.0], initial_loss=4.0)
    2.25
    """
    xs = np.concatenate([[0.0], np.asarray(steps, dtype=float)])
    ys = np.concatenate([[initial_loss], np.asarray(losses, dtype=float)])
    return float(np.trapezoid(ys, xs) / xs[-1])


def at_fraction(steps: ArrayLike, values: ArrayLike, fraction: float, total_steps: int) -> float:
    """Give the last value seen by a fraction of the horizon; not a number before the first.

    >>> at_fraction([25, 50, 75, 100], [4.0, 3.0, 2.0, 1.0], 0.6, 100)
    3.0
    """
    seen = np.flatnonzero(np.asarray(steps, dtype=float) <= fraction * total_steps + 1e-9)
    return float(np.asarray(values, dtype=float)[seen[-1]]) if len(seen) else float(np.nan)


def best_so_far(losses: ArrayLike) -> Floats:
    """Give the lowest loss up to each place; infinite before the first finite one.

    >>> best_so_far([3.0, float("nan"), 2.0, 5.0]).tolist()
    [3.0, 3.0, 2.0, 2.0]
    """
    array = np.asarray(losses, dtype=float)
    return np.minimum.accumulate(np.where(np.isfinite(array), array, np.inf))


def performance_profile(costs: ArrayLike, ratios: Sequence[float]) -> Floats:
    """Give the share of problems that each solver solves within a ratio of the cheapest's cost.

    Dolan & Moré 2002. A problem that nobody solves counts for all, and against all.

    Args:
        costs: `[solvers, problems]`, above zero; infinite where a solver misses.
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
