"""Edges: best peak rates at an end of the searched range, beyond which a better one may lie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from schedsearch.search.widened import near_an_edge, stored_widening

if TYPE_CHECKING:
    import pandas as pd

    from schedsearch.confirmation.claim import Confirmation
    from schedsearch.store.run import Run


def searched_rates(attributes: Mapping[str, Any]) -> tuple[float, float]:
    """Return the lowest and the highest peak rate that a run searches by now.

    Args:
        attributes: the attributes of the run; see `Run.attributes`.
    """
    widened = stored_widening(attributes)
    if widened is not None:
        return widened.rates
    low, high = attributes["identity"]["space.peak_lr"]
    return float(low), float(high)


def widening_of(attributes: Mapping[str, Any]) -> str | None:
    """Return a line that says how the searched range has grown; None where it has not."""
    widened = stored_widening(attributes)
    if widened is None:
        return None
    text = widened.sentence()
    return f"{text[0].upper()}{text[1:]}"


def edge_advice(
    board: pd.DataFrame, confirmed: Confirmation | None, searched: tuple[float, float]
) -> str | None:
    """Return a line that names the best rates at an edge of the searched range; None without any.

    Args:
        board: the best trial of each family; see `leaderboard`.
        confirmed: the confirmation; its winner may be a baseline, which is no trial of the search.
        searched: the lowest and the highest peak rate.
    """
    low, high = searched
    best = board.dropna(subset=["peak_lr"])
    rates = dict(zip(best["family"], best["peak_lr"], strict=True))
    if confirmed is not None and confirmed.winner.finalist.trial is None:
        winner = confirmed.winner
        rates[winner.label] = winner.finalist.schedule.peak_lr
    parts = []
    for side in ("upper", "lower"):
        names = [name for name, rate in rates.items() if near_an_edge(rate, low, high) == side]
        if names:
            parts.append(f"the {side} edge for {', '.join(names)}")
    if not parts:
        return None
    return (
        f"The best peak rate lies at {' and at '.join(parts)} (searched: {low:g} to {high:g}): "
        "widen space.peak_lr, a better one may lie beyond"
    )


def edge_advice_of(run: Run) -> str | None:
    """Return `edge_advice` for a run."""
    from schedsearch.confirmation.read import confirmation_of
    from schedsearch.report.leaderboard import leaderboard_of

    searched = searched_rates(run.attributes)
    return edge_advice(leaderboard_of(run), confirmation_of(run), searched)
