"""Put a family's parts together: warm-up, body and plateau, each a real torch scheduler."""

import warnings
from collections.abc import Mapping
from typing import Any, cast

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from schedsearch.errors import ScheduleError
from schedsearch.horizon import warmup_steps
from schedsearch.schedules.family import Family, Span
from schedsearch.schedules.params import Value
from schedsearch.schedules.wrappers import GroupedLR, PlateauLR, WarmupLR, set_rate


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
        family: the family.
        params: its parameters, checked.
        optimizer: with the peak rate in each group.
        total_steps: how often the scheduler will be stepped.
        evals: how often a metric will be passed to it.
        peaks: the peak rate of each group.
        warmup_frac: the length of the warm-up, as a fraction of the horizon; 0 for none.
        warmup_start: the first rate of the warm-up, as a fraction of the body's first rate.
    """
    warm = warmup_steps(warmup_frac, total_steps)
    clock = _body(family, params, optimizer, Span(total_steps - warm, peaks))
    if warm:
        clock = WarmupLR(optimizer, clock, warmup_steps=warm, start_factor=warmup_start)
    if family.plateau:
        return PlateauLR(optimizer, clock, warm, **_plateau(params, evals, peaks))
    return cast(LRScheduler, clock)


def _body(
    family: Family, params: Mapping[str, Value], optimizer: Optimizer, span: Span
) -> LRScheduler | None:
    build = family.body
    if build is None:
        return None
    if family.one_rate and len(set(span.peaks)) > 1:
        lead = Span(span.total_steps, (max(span.peaks),))
        return GroupedLR(optimizer, lambda single: build(single, params, lead), span.peaks)
    return build(optimizer, params, span)


def install_peaks(optimizer: Optimizer, peak_lr: float) -> tuple[float, ...]:
    """Set the peak rates in the optimizer, and forget the rates of earlier schedulers.

    Returns:
        The peak rate of each group: the highest is `peak_lr`, the others keep their ratio to it.

    Raises:
        ScheduleError: all rates of the optimizer are 0.
    """
    groups = optimizer.param_groups
    old = [float(group.get("initial_lr", group["lr"])) for group in groups]
    if max(old) <= 0:
        raise ScheduleError("the optimizer's rates are all 0: their ratio says nothing")
    peaks = tuple(peak_lr * (rate / max(old)) for rate in old)
    for group, peak in zip(groups, peaks, strict=True):
        set_rate(group, peak)
        group.pop("initial_lr", None)  # torch would start from the rate of an earlier scheduler
    return peaks


def go_on(scheduler: LRScheduler, steps: int) -> None:
    """Step a new scheduler to where a training that goes on has come to."""
    with warnings.catch_warnings():  # the optimizer's earlier steps are not seen here
        warnings.filterwarnings("ignore", message=r"(?s).*lr_scheduler\.step\(\)")
        for _ in range(steps):
            scheduler.step()


def _plateau(params: Mapping[str, Any], evals: int, peaks: tuple[float, ...]) -> dict[str, Any]:
    """Return the arguments of torch's ReduceLROnPlateau; eps=0 lets it cut rates below 1e-8 too."""
    return {
        "mode": params["mode"],
        "factor": params["factor"],
        "patience": round(params["patience_frac"] * evals),
        "cooldown": round(params["cooldown_frac"] * evals),
        "threshold": params["threshold"],
        "min_lr": [params["min_factor"] * peak for peak in peaks],
        "eps": 0.0,
    }
