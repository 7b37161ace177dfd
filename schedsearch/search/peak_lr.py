"""The peak rates that are searched: given, usual for the optimizer, or found by a range test."""

from dataclasses import dataclass, replace
from typing import Literal

from schedsearch.search.events import Chosen, Note, OnEvent
from schedsearch.search.widened import Widened
from schedsearch.training.default_rates import default_rates
from schedsearch.training.device import threads
from schedsearch.training.optimizers import OptimizerSpec
from schedsearch.training.range_test import RangeTest, run_range_test
from schedsearch.training.recipe import Recipe


@dataclass(frozen=True)
class PeakRange:
    """The range of peak rates that a run searches, on a logarithmic scale.

    Args:
        low: the lowest.
        high: the highest.
        test: the range test that the range follows from; None where there was none, or where the
            run was made with it before.
        origin: where the range comes from, in words; empty where the study file gives it.
        widened: the range that has taken its place in the search; None: none has.
    """

    low: float
    high: float
    test: RangeTest | None = None
    origin: str = ""
    widened: Widened | None = None

    @property
    def searched(self) -> tuple[float, float]:
        """The lowest and the highest rate that are searched now."""
        return (self.low, self.high) if self.widened is None else self.widened.rates

    def words(self) -> str:
        """Return the range and its origin in words.

        >>> PeakRange(1e-4, 0.01, origin="the default of AdamW").words()
        '0.0001 to 0.01, log, the default of AdamW'
        """
        rates = f"{self.low:g} to {self.high:g}, log" if self.low < self.high else f"{self.low:g}"
        known = ", ".join(filter(None, (rates, self.origin)))
        return known if self.widened is None else f"{known}; {self.widened.sentence()}"


def range_without_test(
    given: tuple[float, float] | Literal["auto"] | None, optimizer: OptimizerSpec
) -> PeakRange | None:
    """Return the range of peak rates as far as no range test is needed; None: one is.

    Args:
        given: what the study file says; None: nothing.
        optimizer: the optimizer, for what is usual with it.
    """
    if given == "auto":
        return None
    if given is not None:
        return PeakRange(*given)
    usual = default_rates(optimizer.name, optimizer.args)
    return None if usual is None else PeakRange(usual.low, usual.high, origin=usual.sentence())


def find_peak_range(
    recipe: Recipe, seed: int, *, thread_count: int | None, on_event: OnEvent
) -> PeakRange:
    """Return the range that a range test finds; the usual one for the optimizer if it can't tell.

    The usual range is a guess, but so is any that a person would have to give instead; it is said,
    and a best rate at its edge widens it.

    Args:
        recipe: how jobs are trained.
        seed: the seed of the study.
        thread_count: intra-op threads on the CPU (default: one).
        on_event: told of the range.

    Raises:
        ConfigError: the loss falls at no rate, and no range is usual for the optimizer.
    """
    with threads(thread_count or 1):
        test = run_range_test(recipe, seed)
    usual = default_rates(recipe.optimizer.name, recipe.optimizer.args)
    if usual is not None and not test.falls:
        instead = PeakRange(usual.low, usual.high, origin=usual.sentence())
        on_event(Note(f"{test.doubt}: peak_lr = {instead.words()}"))
        return instead
    found = PeakRange(*test.chosen, test)
    on_event(Chosen(test.sentence()))
    return found


def range_as_before(stored: PeakRange, on_event: OnEvent) -> PeakRange:
    """Return the range that a run was made with, by a range test."""
    on_event(Chosen(f"peak_lr = {stored.low:g} to {stored.high:g}, as before"))
    return replace(stored, origin="as the run was made")


def range_as_given(given: PeakRange, stored: PeakRange | None, on_event: OnEvent) -> PeakRange:
    """Return the range that needs no range test, as far as a run has come with it."""
    if given.origin:
        on_event(Chosen(f"peak_lr = {given.words()}"))
    return given if stored is None else replace(given, widened=stored.widened)
