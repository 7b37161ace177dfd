"""The peak rates that are searched: as the study file says, or by a range test, decided once."""

from dataclasses import dataclass

from schedsearch.search.events import Chosen, OnEvent
from schedsearch.training.device import threads
from schedsearch.training.range_test import RangeTest, run_range_test
from schedsearch.training.recipe import Recipe


@dataclass(frozen=True)
class PeakRange:
    """The range of peak rates that a run searches, on a logarithmic scale.

    Args:
        low: the lowest.
        high: the highest.
        test: the range test that the range follows from; None where the study file gives it, or
            where the run was made with it before.
    """

    low: float
    high: float
    test: RangeTest | None = None


def find_peak_range(
    recipe: Recipe, seed: int, *, thread_count: int | None, on_event: OnEvent
) -> PeakRange:
    """Return the range that a range test finds.

    Args:
        recipe: how jobs are trained.
        seed: the seed of the study.
        thread_count: intra-op threads on the CPU (default: one).
        on_event: told of the range.

    Raises:
        ConfigError: the loss falls at no rate.
    """
    with threads(thread_count or 1):
        test = run_range_test(recipe, seed)
    found = PeakRange(*test.chosen, test)
    on_event(Chosen(test.sentence()))
    return found


def range_as_before(low: float, high: float, on_event: OnEvent) -> PeakRange:
    """Return the range that a run was made with."""
    on_event(Chosen(f"peak_lr = {low:g} to {high:g}, as before"))
    return PeakRange(low, high)
