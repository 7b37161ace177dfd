"""Widened: a range of peak rates that grew by a decade, as the best trial lay at an edge."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

WIDENED = "widened"  # an attribute of a run, behind the prefix
_DECADE = 10.0
_SHARE = 0.25  # of the families of a run in rank mode whose best trials must lie at one edge

Side = Literal["lower", "upper"]


def near_an_edge(value: float, low: float, high: float) -> Side | None:
    """Return the edge that a value is close to: the outer twentieth of a range, on a log scale.

    >>> near_an_edge(0.29, 0.003, 0.3), near_an_edge(0.1, 0.003, 0.3), near_an_edge(1, 1, 1)
    ('upper', None, None)
    """
    if not 0 < low < high:
        return None
    part = math.log(value / low) / math.log(high / low)
    return "upper" if part > 0.95 else "lower" if part < 0.05 else None


@dataclass(frozen=True)
class Widened:
    """A range of peak rates that has grown.

    Args:
        low: the lowest rate now.
        high: the highest rate now.
        was_low: the lowest rate before.
        was_high: the highest rate before.
        side: where it has grown.
        after: the trials that were over by then.
    """

    low: float
    high: float
    was_low: float
    was_high: float
    side: Side
    after: int

    @property
    def rates(self) -> tuple[float, float]:
        """The lowest and the highest rate now."""
        return self.low, self.high

    def sentence(self) -> str:
        """Return what was done, and why, in one line."""
        return (
            f"after {self.after} trials the best peak rate lay at the {self.side} edge of "
            f"{self.was_low:g} to {self.was_high:g}: since then {self.low:g} to {self.high:g} are "
            "searched"
        )


def stored_widening(attributes: Mapping[str, Any]) -> Widened | None:
    """Return how a run's range has grown, from the run's attributes; None: it has not."""
    stored = attributes.get(WIDENED)
    return None if stored is None else Widened(**stored)


def widened_for(best: Sequence[float], low: float, high: float, after: int) -> Widened | None:
    """Return a range that has grown a decade towards the best rates; None: they lie inside.

    Args:
        best: the peak rate of the best trial; in rank mode that of each family's, of which a
            quarter must lie at one edge.
        low: the lowest rate searched.
        high: the highest rate searched.
        after: the trials that are over.

    >>> widened_for([0.29], 0.003, 0.3, after=32).high
    3.0
    >>> widened_for([0.05], 0.003, 0.3, after=32) is None
    True
    """
    at = [near_an_edge(rate, low, high) for rate in best]
    upper, lower = at.count("upper"), at.count("lower")
    if max(upper, lower) < max(1.0, _SHARE * len(best)):
        return None
    if upper >= lower:
        return Widened(low, _rounded(high * _DECADE), low, high, "upper", after)
    return Widened(_rounded(low / _DECADE), high, low, high, "lower", after)


def _rounded(rate: float) -> float:
    return float(f"{rate:.6g}")
