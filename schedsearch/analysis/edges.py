"""Edges: best base rates at the end of the range that was searched, where a better one may lie."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from schedsearch.analysis.confirmation import Confirmation
from schedsearch.config import StudyConfig


def searched_rates(attributes: Mapping[str, Any], config: StudyConfig) -> tuple[float, float]:
    """Return the lowest and the highest base rate that a run searches, as it was made.

    Args:
        attributes: what the run stores of itself; see `Run.attributes`.
        config: its study file, which may leave them to a range test.
    """
    low, high = attributes["identity"].get("space.base_lr", config.space.base_lr)
    return float(low), float(high)


def near_an_edge(value: float, low: float, high: float) -> str | None:
    """Say whether a value lies in the outer twentieth of a range, on a logarithmic scale.

    >>> near_an_edge(0.29, 0.003, 0.3), near_an_edge(0.1, 0.003, 0.3), near_an_edge(1, 1, 1)
    ('upper', None, None)
    """
    if not 0 < low < high:
        return None
    part = math.log(value / low) / math.log(high / low)
    return "upper" if part > 0.95 else "lower" if part < 0.05 else None


def edge_advice(
    board: pd.DataFrame, confirmed: Confirmation | None, searched: tuple[float, float]
) -> str | None:
    """Name what did best at an edge of the searched range, in a line; None where nothing did.

    Args:
        board: the best trial of each family; see `leaderboard`.
        confirmed: what was confirmed; its winner may be a reference, no trial of the search.
        searched: the lowest and the highest base rate.
    """
    low, high = searched
    best = board.dropna(subset=["base_lr"])
    rates = dict(zip(best["family"], best["base_lr"], strict=True))
    if confirmed is not None and confirmed.winner.finalist.trial is None:
        winner = confirmed.winner
        rates[winner.label] = winner.finalist.schedule.base_lr
    parts = []
    for side in ("upper", "lower"):
        names = [name for name, rate in rates.items() if near_an_edge(rate, low, high) == side]
        if names:
            parts.append(f"the {side} edge for {', '.join(names)}")
    if not parts:
        return None
    return (
        f"The best base rate lies at {' and at '.join(parts)} (searched: {low:g} to {high:g}): "
        "widen space.base_lr, a better one may lie beyond"
    )
