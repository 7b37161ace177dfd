"""Fidelity: how well the rungs of a run rank schedules for the full horizon, by its own trials."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import pandas as pd
from optuna.trial import FrozenTrial

from schedsearch.horizon import STEPS, Unit
from schedsearch.objective import Objective
from schedsearch.statistics.intervals import Estimate
from schedsearch.statistics.ranks import rank_correlation
from schedsearch.store.columns import Column, dtypes_of
from schedsearch.store.records import read_columns, read_result

FIDELITY: tuple[Column, ...] = (
    Column("horizon", "int64", "optimizer steps", "the rung"),
    Column("schedules", "int64", "schedules", "that were trained at the rung and in full"),
    Column("diverged", "int64", "schedules", "of the check, before the full horizon; not counted"),
    Column("correlation", "float64", "", "Spearman's rank correlation with the full horizon"),
    Column("low", "float64", "", "lower end of its 95 % interval"),
    Column("high", "float64", "", "upper end of its 95 % interval"),
    Column("better_half", "int64", "schedules", "in the better half, by the full horizon"),
    Column("better_correlation", "float64", "", "rank correlation among the better half"),
    Column("better_low", "float64", "", "lower end of its 95 % interval"),
    Column("better_high", "float64", "", "upper end of its 95 % interval"),
)
FIDELITY_COLUMNS = dtypes_of(FIDELITY)


@dataclass(frozen=True)
class Agreement:
    """How well a rung ranks schedules for the full horizon: Spearman's rank correlation.

    Args:
        horizon: the rung.
        every: over all schedules.
        better: among the better half of them, by what they reached at the full horizon.
        diverged: schedules of the check that diverged before the full horizon: not counted.
        unit: the unit in which a person counts steps.
    """

    horizon: int
    every: Estimate
    better: Estimate
    diverged: int
    unit: Unit = STEPS

    def row(self) -> dict[str, Any]:
        """Return the agreement as a row with FIDELITY_COLUMNS."""
        every, better = self.every, self.better
        numbers = (every.value, every.low, every.high)
        of_better = (better.count, better.value, better.low, better.high)
        row = (self.horizon, every.count, self.diverged, *numbers, *of_better)
        return dict(zip(FIDELITY_COLUMNS, row, strict=True))

    @property
    def warning(self) -> str | None:
        """What a person should know before relying on the rung; None when it ranks well."""
        rung = f"the rung of {self.unit.say(self.horizon)}"
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
    *,
    cut: bool = False,
    unit: Unit = STEPS,
) -> list[Agreement]:
    """Estimate how well each rung below the full horizon ranks schedules for it.

    Where a schedule diverged at the full horizon after a rung that it came through, it is the
    worst there.

    Args:
        checks: the random schedules, trained at each rung.
        promoted: trials of the search; those that reached the full horizon count.
        horizons: the rungs, the full horizon last.
        objective: which value ranks.
        cut: if True, read the value of each pilot schedule at the rung's step of its full
            training, where a rung would cut it.
        unit: the unit in which a person counts steps.
    """
    full = horizons[-1]
    worst = objective.worst
    of_checks = partial(_cut_values, horizons=horizons) if cut else _values
    every = [of_checks(trial, full, worst, objective) for trial in checks]
    every += [_values(trial, full, worst, objective) for trial in promoted]
    diverged = sum(full not in values for values in every[: len(checks)])
    return [_agreement(h, full, every, diverged, objective, unit) for h in horizons[:-1]]


def _agreement(
    horizon: int,
    full: int,
    every: Sequence[dict[int, float]],
    diverged: int,
    objective: Objective,
    unit: Unit,
) -> Agreement:
    sign = objective.sign
    pairs = [
        (sign * values[full], sign * values[horizon])
        for values in every
        if horizon in values and full in values
    ]
    better = sorted(pairs)[: math.ceil(len(pairs) / 2)]
    return Agreement(horizon, _correlation(pairs), _correlation(better), diverged, unit)


def _correlation(pairs: Sequence[tuple[float, float]]) -> Estimate:
    return rank_correlation([full for full, _ in pairs], [cheap for _, cheap in pairs])


def _values(trial: FrozenTrial, full: int, worst: float, objective: Objective) -> dict[int, float]:
    """Return the value of a trial at each rung."""
    result = read_result(trial)
    values = {rung["horizon"]: rung[objective.name] for rung in result.get("rungs", ())}
    if result.get("diverged") and result.get("horizon") == full:
        values[full] = worst
    return values


def _cut_values(
    trial: FrozenTrial, full: int, worst: float, objective: Objective, *, horizons: Sequence[int]
) -> dict[int, float]:
    """Return the value of a pilot's trial at each evaluation of its full training, and at rungs.

    A trainer of the user's own, which evaluates when it likes, would be cut at the first evaluation
    from a rung on.
    """
    result = read_result(trial)
    if result.get("horizon") != full:  # it diverged at a squeezed rung
        return {}
    columns = read_columns(trial)
    values = dict(zip(columns["step"], columns[objective.name], strict=True))
    if result["diverged"]:
        values.popitem()  # there, it diverged
    for horizon in horizons:
        later = [step for step in values if step >= horizon]
        if later:
            values[horizon] = values[min(later)]
    return values | ({full: worst} if result["diverged"] else {})


def choose_kind(
    squeezed: Sequence[Agreement], truncated: Sequence[Agreement]
) -> Literal["squeeze", "truncate", "full"]:
    """Choose the kind of rungs by a pilot.

    A kind can be chosen when each of its rungs is shown to rank: the lower end of the interval of
    the rank correlation over all schedules is above 0. Of two that can, it is the one with the
    higher rank correlation among the better half, as the mean over the rungs; "squeeze" where that
    is equal. Where none can be chosen it is "full".

    How often that is right: on Fashion-MNIST (mlp, 900 steps, rungs at 100 and 300), where among
    the better half of 96 schedules squeezed rungs correlate with .69 and .86 and cuts with -.1,
    pilots of 8, 16 and 24 of them choose "squeeze" in 42, 82 and 93 %, "truncate" in 9, 15 and 5 %,
    and "full" in the rest. On digits (600 steps, a rung at 200: .38 and .17) these are 51, 69 and
    61 %, and 25, 29 and 39 %.

    Args:
        squeezed: how well each rung ranks when it trains the schedule of its own horizon.
        truncated: how well it ranks when it cuts the full run.
    """
    squeeze, truncate = _rank(squeezed), _rank(truncated)
    if squeeze is None and truncate is None:
        return "full"
    if truncate is None or (squeeze is not None and squeeze >= truncate):
        return "squeeze"
    return "truncate"


def _rank(rungs: Sequence[Agreement]) -> float | None:
    """Return the mean correlation among the better half; None where a rung isn't shown to rank."""
    if not rungs or not all(rung.every.low > 0 for rung in rungs):
        return None
    return sum(rung.better.value for rung in rungs) / len(rungs)


def choice_in_words(
    chosen: str, squeezed: Sequence[Agreement], truncated: Sequence[Agreement]
) -> str:
    """Return a sentence that says what a pilot chose, and what it found."""
    found = []
    for kind, rungs in (("squeeze", squeezed), ("truncate", truncated)):
        rank = _rank(rungs)
        weak = [rung.unit.say(rung.horizon) for rung in rungs if not rung.every.low > 0]
        shown = f"not shown to rank at {' and '.join(weak)}" if rank is None else f"{rank:.2f}"
        found.append(f"{kind} {shown}")
    count = squeezed[0].every.count + squeezed[0].diverged if squeezed else 0
    return (
        f"fidelity: {chosen}, by a pilot of {count} schedules (rank correlation of the rungs with "
        f"the full horizon in the better half: {', '.join(found)})"
    )


def fidelity_frame(found: Sequence[Agreement]) -> pd.DataFrame:
    """Return a frame with one row per rung and FIDELITY_COLUMNS."""
    rows = [each.row() for each in found]
    return pd.DataFrame(rows, columns=list(FIDELITY_COLUMNS)).astype(FIDELITY_COLUMNS)
