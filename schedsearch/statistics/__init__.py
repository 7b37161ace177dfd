"""Pure functions on arrays: intervals, tests of the winner, time to target, profiles."""

from schedsearch.statistics.compare import (
    TESTS,
    Comparison,
    Difference,
    TestName,
    compare,
    least_seeds,
    pairing_saved,
    power,
)
from schedsearch.statistics.curves import (
    Reached,
    area_under,
    at_fraction,
    best_so_far,
    performance_profile,
    steps_to_target,
)
from schedsearch.statistics.intervals import Estimate, mean_interval, resampled_interval
from schedsearch.statistics.ranks import rank_correlation

__all__ = [
    "TESTS",
    "Comparison",
    "Difference",
    "Estimate",
    "Reached",
    "TestName",
    "area_under",
    "at_fraction",
    "best_so_far",
    "compare",
    "least_seeds",
    "mean_interval",
    "pairing_saved",
    "performance_profile",
    "power",
    "rank_correlation",
    "resampled_interval",
    "steps_to_target",
]
