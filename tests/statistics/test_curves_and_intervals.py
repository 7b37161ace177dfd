"""Steps to a target, areas, profiles and intervals, against scipy and by hand."""

from math import inf, isnan, nan, sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from schedsearch.statistics.curves import (
    area_under,
    at_fraction,
    best_so_far,
    performance_profile,
    steps_to_target,
)
from schedsearch.statistics.intervals import mean_interval, resampled_interval


def test_misses_count_as_misses() -> None:
    assert steps_to_target([10, 20, 30]).median == 20
    assert steps_to_target([10, 20], [100]).median == 20
    assert steps_to_target([10, 20], [100, 100, 100]).median == inf, "fewer than half got there"
    assert steps_to_target([10, 20], [100, 100]).median == 20, "just half"
    found = steps_to_target([10, 20], [100, 100, 100])
    assert (found.reached, found.missed) == (2, 3)
    none = steps_to_target([], [100, 100])
    assert (none.median, none.low, none.high, none.reached, none.missed) == (inf, inf, inf, 0, 2)


def test_a_run_that_was_watched_for_a_while_counts_for_that_while() -> None:
    """Kaplan-Meier by hand: 4/5 after 10, then one is lost, 4/5 * 2/3 after 30, * 1/2 after 40."""
    assert steps_to_target([10, 30, 40], [20, 90]).median == 40
    assert steps_to_target([10, 30], [20, 40, 90]).median == inf, "4/5 * 2/3 is above a half"


def test_the_median_and_its_interval_are_those_of_scipys_survival_function() -> None:
    hits, misses = [30, 60, 60, 90, 120, 150, 240], [600, 600, 45]
    survival = stats.ecdf(stats.CensoredData(uncensored=hits, right=misses)).sf
    found = steps_to_target(hits, misses)
    assert survival.evaluate(found.median) <= 0.5 < survival.evaluate(found.median - 1)
    ends = survival.confidence_interval(method="log-log")
    assert ends.low.evaluate(found.low) <= 0.5
    assert found.low <= found.median <= found.high


def test_few_runs_have_no_interval() -> None:
    one = steps_to_target([50])
    assert (one.median, isnan(one.low), isnan(one.high)) == (50, True, True)
    assert isnan(steps_to_target([], [100]).low)


@given(st.lists(st.integers(1, 100), max_size=8), st.lists(st.integers(1, 100), max_size=8))
def test_a_miss_never_makes_it_faster(hits: list[int], misses: list[int]) -> None:
    with_miss, without = steps_to_target(hits, [*misses, 100]), steps_to_target(hits, misses)
    assert with_miss.median >= without.median
    assert with_miss.reached + with_miss.missed == len(hits) + len(misses) + 1
    shuffled = steps_to_target(hits[::-1], misses[::-1])
    assert repr(shuffled) == repr(without)


def test_the_area_is_the_mean_loss() -> None:
    assert area_under([10, 20, 40], [2.0, 1.0, 1.0], initial_loss=4.0) == pytest.approx(
        (30 + 15 + 20) / 40
    )
    assert area_under([7], [3.0], initial_loss=3.0) == 3.0


def test_the_loss_at_a_fraction_never_looks_ahead() -> None:
    steps, losses = [20, 40, 60], [3.0, 2.0, 1.0]
    seen = [at_fraction(steps, losses, f, 60) for f in (1 / 3, 0.5, 2 / 3, 0.99, 1.0)]
    assert seen == [3.0, 3.0, 2.0, 2.0, 1.0]
    assert isnan(at_fraction(steps, losses, 0.1, 60))
    assert at_fraction([60], [1.0], 1.0, 60) == 1.0


def test_the_best_so_far_passes_over_what_diverged() -> None:
    assert best_so_far([nan, 3.0, inf, 2.0, 4.0]).tolist() == [inf, 3.0, 3.0, 2.0, 2.0]
    assert best_so_far([]).tolist() == []


def test_a_performance_profile_by_hand() -> None:
    costs = [[10.0, 30.0, inf], [20.0, 10.0, 40.0], [inf, 20.0, inf]]
    profile = performance_profile(costs, [1, 2, 3])
    expected = [[1 / 3, 1 / 3, 2 / 3], [2 / 3, 1, 1], [0, 1 / 3, 1 / 3]]
    assert profile == pytest.approx(np.array(expected))
    assert performance_profile([[inf], [inf]], [1.0]).tolist() == [[0.0], [0.0]]
    with pytest.raises(ValueError, match="above zero"):
        performance_profile([[0.0, 1.0]], [1.0])


COSTS = st.lists(
    st.lists(st.sampled_from([1.0, 2.0, 5.0, 10.0, inf]), min_size=3, max_size=3), min_size=1
)


@given(COSTS, st.permutations(range(3)))
def test_a_profile_grows_and_knows_no_order_of_problems(costs: Any, order: list[int]) -> None:
    ratios = [1.0, 1.5, 2.0, 5.0, 10.0]
    profile = performance_profile(costs, ratios)
    assert (np.diff(profile, axis=1) >= 0).all()
    assert (profile <= 1).all()
    again = performance_profile(np.asarray(costs)[:, order] * 3.0, ratios)
    assert again == pytest.approx(profile), "the unit of the cost does not matter either"
    solved = np.isfinite(costs).any(axis=0).mean()
    assert profile[:, 0].sum() >= solved - 1e-12, "each problem that anybody solves has a best"


def test_the_interval_of_a_mean_is_students() -> None:
    values = [2.0, 4.0, 4.0, 6.0]
    found = mean_interval(values)
    half = stats.t.ppf(0.975, 3) * sqrt(8 / 3) / 2
    assert (found.value, found.count) == (4.0, 4)
    assert (found.low, found.high) == pytest.approx((4 - half, 4 + half))
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    narrower = mean_interval(values, 0.9)
    assert (narrower.low, narrower.high) == pytest.approx((expected.low, expected.high))
    for few in ([], [1.0]):
        assert isnan(mean_interval(few).low)
        assert mean_interval(few).count == len(few)


def test_the_interval_of_anything_else_is_resampled_and_always_the_same() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(5.0, 1.0, size=60)
    found = resampled_interval(values, lambda drawn: float(np.mean(drawn)))
    assert found == resampled_interval(values, lambda drawn: float(np.mean(drawn)))
    students = mean_interval(values)
    assert (found.low, found.high) == pytest.approx((students.low, students.high), abs=0.05)
    assert isnan(resampled_interval([1.0], lambda drawn: float(np.mean(drawn))).low)
