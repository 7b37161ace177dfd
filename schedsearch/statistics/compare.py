"""Compare the winner with all others: the test, and the schedules that it can't be told from.

The winner is chosen on the same numbers that test it. Two facts make that harmless:

- The winner is called better than all others if the ordinary two-sided test against *each* other
  schedule is significant. If two schedules are equally good, one of them is mistaken for a winner
  with at most the probability of the level, and with three or more far more rarely (Gutmann &
  Maymin 1987; Hung & Fithian 2019). No correction for the number of schedules is needed, because
  the winner must beat all of them.
- Otherwise, the winner and the schedules that can't be told apart from it are a set that holds the
  true best with the stated confidence (Gupta 1965; Hsu 1984). The true best is left out only if
  one of the others beats it, so the one-sided test is corrected for their number (Bonferroni).

Welch's test is the default. It has 2(n-1) degrees of freedom, where the paired test has n-1; it
does not assume that all schedules scatter alike; and if a seed moves all schedules the same way,
it errs on the safe side. With 8 seeds and 6 schedules, a lead of twice the seed noise over five
equal schedules is found in 85 % of cases (paired t: 76 %, variance pooled over all: 90 %). Two
equal schedules are mistaken in 5 % of cases (pooled: up to 24 %, if the two scatter more).
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from schedsearch.imports import lazy
from schedsearch.statistics.intervals import Estimate

if TYPE_CHECKING:
    from scipy import stats
else:
    stats = lazy("scipy.stats")

TestName: TypeAlias = str
"""A name of TESTS."""

Floats: TypeAlias = NDArray[np.float64]

Tested: TypeAlias = tuple[Floats, Callable[[float], tuple[Floats, Floats]]]
"""The two-sided p-value of each other schedule, and a function that returns the intervals."""


def _t(test: Callable[..., Any], others: Floats, winner: Floats, **options: Any) -> Tested:
    found = test(others, np.broadcast_to(winner, others.shape), axis=1, **options)
    differences = others.mean(axis=1) - winner.mean()
    sure = ~np.isfinite(found.statistic)  # nothing scatters, so the difference is exact
    p: Floats = np.where(sure, differences == 0, found.pvalue)

    def interval(level: float) -> tuple[Floats, Floats]:
        ends = found.confidence_interval(level)
        return np.where(sure, differences, ends.low), np.where(sure, differences, ends.high)

    return p, interval


def _welch(others: Floats, winner: Floats) -> Tested:
    return _t(stats.ttest_ind, others, winner, equal_var=False)


def _paired(others: Floats, winner: Floats) -> Tested:
    return _t(stats.ttest_rel, others, winner)


def _wilcoxon(others: Floats, winner: Floats) -> Tested:
    differences = others - winner
    p = [float(stats.wilcoxon(row).pvalue) if row.any() else 1.0 for row in differences]
    none = np.full(len(others), np.nan)
    return np.array(p), lambda level: (none, none)


TESTS: Mapping[TestName, tuple[str, Callable[[Floats, Floats], Tested]]] = {
    "welch": ("Welch's t-test", _welch),
    "paired": ("the paired t-test", _paired),
    "wilcoxon": ("Wilcoxon's signed-rank test", _wilcoxon),
}


@dataclass(frozen=True)
class Difference:
    """How much worse than the winner a schedule is.

    Args:
        index: the schedule's row.
        estimate: the mean difference; its interval holds 0 if the two can't be told apart.
        p: p-value of H0: the schedule is not worse than the winner (corrected for their number).
        apart: whether it can be told apart from the winner.
    """

    index: int
    estimate: Estimate
    p: float
    apart: bool


@dataclass(frozen=True)
class Comparison:
    """The winner against all others.

    Args:
        winner: the row with the lowest mean.
        p: p-value of H0: the winner is not better than all others; 1 if there are no others.
        better: whether the winner is better than all others.
        differences: the others, best first.
    """

    winner: int
    p: float
    better: bool
    differences: tuple[Difference, ...]

    @property
    def together(self) -> tuple[int, ...]:
        """The winner, and the schedules that can't be told apart from it."""
        return (self.winner, *(d.index for d in self.differences if not d.apart))


def compare(losses: ArrayLike, test: TestName = "welch", level: float = 0.95) -> Comparison:
    """Compare the row with the lowest mean with all others.

    Args:
        losses: `[schedules, seeds]`; the same seeds, in the same order, for all. Lower is better.
        test: the test.
        level: the confidence of the answer.

    Raises:
        ValueError: fewer than two seeds, or a value that is not finite.

    >>> compare([[1.0, 1.1, 0.9], [5.0, 5.1, 5.2]]).better
    True
    """
    array = np.asarray(losses, dtype=float)
    if array.ndim != 2 or array.shape[1] < 2 or not np.isfinite(array).all():
        raise ValueError("losses must be finite numbers [schedules, seeds] of at least two seeds")
    alpha, factor = 1 - level, _correction(len(array) - 1)
    order = np.argsort(array.mean(axis=1), kind="stable")
    winner, others = int(order[0]), [int(i) for i in order[1:]]
    if not others:
        return Comparison(winner, 1.0, False, ())
    with warnings.catch_warnings():  # scipy warns about rows that hardly scatter
        warnings.simplefilter("ignore", RuntimeWarning)
        own, interval = TESTS[test][1](array[others], array[winner])
        p = float(own.max())
        better = p <= alpha
        corrected = np.minimum(1.0, own * (1 if better else factor))
        lows, highs = interval(1 - alpha / (1 if better else factor))
    differences = []
    for i, p_i, low, high in zip(others, corrected, lows, highs, strict=True):
        value = float(array[i].mean() - array[winner].mean())
        estimate = Estimate(value, float(low), float(high), array.shape[1])
        differences.append(Difference(i, estimate, float(p_i), bool(p_i <= alpha)))
    return Comparison(winner, p, better, tuple(differences))


def _correction(others: int) -> float:
    """Return the factor of a two-sided p-value: half of it is one-sided, times the other schedules.

    It is never below 1. With one or two others it could tell apart a schedule although the winner
    is not called better.
    """
    return max(1.0, others / 2)


def power(test: TestName, seeds: int, others: int, gap: float = 2.0, level: float = 0.95) -> float:
    """Return a lower bound of the probability to find a winner that leads all others by a gap.

    Args:
        test: the test; for "wilcoxon" the bound is that of "paired".
        seeds: the number of seeds, which are taken to be independent.
        others: the number of schedules beside the winner, all equally good.
        gap: the lead, in standard deviations over seeds.
        level: the confidence of the answer.

    >>> round(power("welch", 8, 5), 2)
    0.8
    """
    if seeds < 2:
        return 0.0
    freedom = (2 if test == "welch" else 1) * (seeds - 1)
    critical = stats.t.ppf((1 + level) / 2, freedom)
    one = float(stats.nct.sf(critical, freedom, gap * np.sqrt(seeds / 2)))
    return max(0.0, 1 - others * (1 - one))


def least_seeds(test: TestName, others: int, level: float = 0.95) -> int:
    """Return the fewest seeds with which a test can find a winner at all.

    Wilcoxon's smallest p-value is 2 / 2^n, and must survive the correction for the number of the
    others. A t-test must find a lead of four times the seed noise in 80 % of cases.

    >>> least_seeds("wilcoxon", 7), least_seeds("welch", 5)
    (8, 4)
    """
    seeds = 2
    if test == "wilcoxon":
        while 2.0 ** (1 - seeds) * _correction(others) > 1 - level:
            seeds += 1
        return seeds
    while power(test, seeds, others, gap=4.0, level=level) < 0.8:
        seeds += 1
    return seeds


def pairing_saved(losses: ArrayLike) -> float:
    """Return the fraction of the differences' variance that common seeds saved; below 0: added.

    This is 1 - V / S. V is the variance of the difference between two schedules, S the sum of the
    variances of the two; both are summed over all pairs of schedules.

    >>> pairing_saved([[1.0, 2.0, 3.0], [2.0, 3.0, 4.0]])
    1.0
    """
    array = np.asarray(losses, dtype=float)
    count, own = len(array), array.var(axis=1, ddof=1).sum()
    if count < 2 or own == 0:
        return 0.0
    together = count**2 * array.mean(axis=0).var(ddof=1)  # the variance of the sum over schedules
    return float((together - own) / ((count - 1) * own))
