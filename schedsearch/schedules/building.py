"""Put a family's parts together: warm-up, body and plateau, each a real torch scheduler."""

from collections.abc import Mapping
from typing import Any, cast

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from schedsearch.horizon import warmup_steps
from schedsearch.schedules.compose import GroupedLR, PlateauLR, WarmupLR
from schedsearch.schedules.family import Family, Span
from schedsearch.schedules.params import Value


def compose(
    family: Family,
    params: Mapping[str, Value],
    optimizer: Optimizer,
    *,
    total_steps: int,
    evals: int,
    peaks: tuple[float, ...],
    warmup_frac: float,
    warmup_start: float,
) -> LRScheduler:
    """Build a family's scheduler on an optimizer that holds the peak rates.

    Args:
        family: which kind.
        params: its parameters, checked.
        optimizer: with the peak rate in each group.
        total_steps: how often the scheduler will be stepped.
        evals: how often a metric will be told.
        peaks: the peak rate of each group.
        warmup_frac: the warm-up's fraction of the run; 0 for none.
        warmup_start: its first rate, as a fraction of the body's first.
    """
    warm = warmup_steps(warmup_frac, total_steps)
    clock = _body(family, params, optimizer, Span(total_steps - warm, peaks))
    if warm:
        clock = WarmupLR(optimizer, clock, warmup_steps=warm, start_factor=warmup_start)
    if family.plateau:
        return PlateauLR(optimizer, clock, warm, **_plateau(params, evals, peaks))
    return cast(LRScheduler, clock)


def _body(
    family: Family, params: Mapping[str, Value], optimizer: Optimizer, run: Span
) -> LRScheduler | None:
    build = family.body
    if build is None:
        return None
    if family.one_rate and len(set(run.peaks)) > 1:
        lead = Span(run.total_steps, (max(run.peaks),))
        return GroupedLR(optimizer, lambda single: build(single, params, lead), run.peaks)
    return build(optimizer, params, run)


def _plateau(params: Mapping[str, Any], evals: int, peaks: tuple[float, ...]) -> dict[str, Any]:
    """Give the arguments of torch's ReduceLROnPlateau; eps=0 lets it cut rates below 1e-8 too."""
    return {
        "mode": params["mode"],
        "factor": params["factor"],
        "patience": round(params["patience_frac"] * evals),
        "cooldown": round(params["cooldown_frac"] * evals),
        "threshold": params["threshold"],
        "min_lr": [params["min_factor"] * peak for peak in peaks],
        "eps": 0.0,
    }
