"""Fidelity: how well the rungs of a run rank schedules for the full horizon, by its own trials."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from optuna.trial import FrozenTrial

from schedsearch.statistics import Estimate, rank_correlation
from schedsearch.storage.best import Objective
from schedsearch.storage.records import read_result

FIDELITY_COLUMNS: dict[str, str] = {
    "horizon": "int64",
    "schedules": "int64",
    "diverged": "int64",
    "correlation": "float64",
    "low": "float64",
    "high": "float64",
    "better_half": "int64",
    "better_correlation": "float64",
    "better_low": "float64",
    "better_high": "float64",
}


@dataclass(frozen=True)
class Agreement:
    """How well a rung ranks schedules for the full horizon: Spearman's rank correlation.

    Args:
        horizon: the rung.
        every: over all schedules.
        better: among the better half of them, by what they reached at the full horizon.
        diverged: schedules of the check that diverged before the full horizon: not counted.
    """

    horizon: int
    every: Estimate
    better: Estimate
    diverged: int

    def row(self) -> dict[str, Any]:
        """Give it as a row with FIDELITY_COLUMNS."""
        every, better = self.every, self.better
        numbers = (every.value, every.low, every.high)
        of_better = (better.count, better.value, better.low, better.high)
        row = (self.horizon, every.count, self.diverged, *numbers, *of_better)
        return dict(zip(FIDELITY_COLUMNS, row, strict=True))

    @property
    def warning(self) -> str | None:
        """Say what a person should know before relying on the rung; None when it ranks well."""
        rung = f"the rung of {self.horizon} steps"
        all_shown, better_shown = self.every.low > 0, self.better.low > 0
        if all_shown and better_shown:
            return None
        if all_shown:
            return (
                f"{rung} ranks schedules, but is not shown to rank the better half of them "
                f"({_worded(self.better)})"
            )
        if better_shown:
            return (
                f"{rung} ranks the better half of the schedules, but is not shown to rank all of "
                f"them ({_worded(self.every)})"
            )
        return (
            f"{rung} is not shown to rank schedules for the full horizon at all "
            f"({_worded(self.every)}): longer rungs, more fidelity.checks, or "
            "fidelity.kind = 'full'"
        )


def _worded(it: Estimate) -> str:
    if math.isnan(it.low):
        return f"too few: {it.count} schedules"
    return f"rank correlation {it.value:.2f}, {it.low:.2f} to {it.high:.2f}, {it.count} schedules"


def agreements(
    checks: Sequence[FrozenTrial],
    promoted: Iterable[FrozenTrial],
    horizons: Sequence[int],
    objective: Objective,
) -> list[Agreement]:
    """Estimate how well each rung below the full horizon ranks schedules for it.

    Where a schedule diverged at the full horizon after a rung that it came through, it is the
    worst there.

    Args:
        checks: the random schedules, trained at each rung.
        promoted: trials of the search; those that came to the full horizon count.
        horizons: the rungs, the full horizon last.
        objective: which value ranks.
    """
    full = horizons[-1]
    worst = math.inf if objective == "val_loss" else -math.inf
    every = [_values(trial, full, worst, objective) for trial in (*checks, *promoted)]
    diverged = sum(full not in values for values in every[: len(checks)])
    return [_agreement(h, full, every, diverged, objective) for h in horizons[:-1]]


def _agreement(
    horizon: int,
    full: int,
    every: Sequence[dict[int, float]],
    diverged: int,
    objective: Objective,
) -> Agreement:
    sign = 1.0 if objective == "val_loss" else -1.0
    pairs = [
        (sign * values[full], sign * values[horizon])
        for values in every
        if horizon in values and full in values
    ]
    better = sorted(pairs)[: math.ceil(len(pairs) / 2)]
    return Agreement(horizon, _correlation(pairs), _correlation(better), diverged)


def _correlation(pairs: Sequence[tuple[float, float]]) -> Estimate:
    return rank_correlation([full for full, _ in pairs], [cheap for _, cheap in pairs])


def _values(trial: FrozenTrial, full: int, worst: float, objective: Objective) -> dict[int, float]:
    """Give what a trial was at each rung."""
    result = read_result(trial)
    place = 1 if objective == "val_loss" else 2
    values = {rung[0]: rung[place] for rung in result.get("rungs", ())}
    if result.get("diverged") and result.get("horizon") == full:
        values[full] = worst
    return values


def fidelity_frame(found: Sequence[Agreement]) -> pd.DataFrame:
    """Make a frame with a row a rung and FIDELITY_COLUMNS."""
    rows = [each.row() for each in found]
    return pd.DataFrame(rows, columns=list(FIDELITY_COLUMNS)).astype(FIDELITY_COLUMNS)
