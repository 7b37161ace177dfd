"""Families that hold the peak, and then decay."""

from typing import TYPE_CHECKING

from schedsearch.schedules.families.common import (
    Params,
    final_factor,
    floor_factor,
    torch_schedulers,
)
from schedsearch.schedules.family import Family, Span
from schedsearch.schedules.params import Choice, Float
from schedsearch.schedules.shapes import HoldThenShrink, OneMinusSqrt

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler


def _hold_then_exponential(optimizer: "Optimizer", p: Params, span: Span) -> "LRScheduler":
    hold_steps = min(round(p["hold_frac"] * span.total_steps), span.total_steps - 1)
    gamma = p["final_factor"] ** (1 / (span.total_steps - hold_steps))
    return torch_schedulers.MultiplicativeLR(optimizer, HoldThenShrink(hold_steps, gamma))


HOLD_THEN_EXPONENTIAL = Family(
    "HoldThenExponential",
    "The peak for hold_frac, then the same factor at every step (Gotmare et al. 2019).",
    (
        Float(
            *("hold_frac", 0.0, 0.8, 0.5),
            at_least=0.0,
            below=1.0,
            about="how long the peak rate holds, as a fraction of the horizon",
        ),
        final_factor(1e-3, 0.3, 0.01),
    ),
    _hold_then_exponential,
    torch_class="MultiplicativeLR",
    formula="1 if t < hold_frac else final_factor^((t - hold_frac) / (1 - hold_frac))",
    look=10,
    key="MultiplicativeLR",
)


def _warmup_stable_decay(optimizer: "Optimizer", p: Params, span: Span) -> "LRScheduler":
    rise, fall = span.steps(p["warmup_frac"]), span.steps(p["decay_frac"])
    span.at_least(rise + fall + 1, "WarmupStableDecay")
    final, decay = p["final_factor"], p["decay"]
    phases = [
        torch_schedulers.LinearLR(optimizer, start_factor=0.01, total_iters=rise),
        torch_schedulers.ConstantLR(optimizer, factor=1.0, total_iters=1),
    ]
    if decay == "linear":
        phases.append(torch_schedulers.LinearLR(optimizer, 1.0, final, fall))
    elif decay == "cosine":
        floor = final * max(span.peaks)
        phases.append(torch_schedulers.CosineAnnealingLR(optimizer, fall, eta_min=floor))
    else:
        phases.append(torch_schedulers.LambdaLR(optimizer, OneMinusSqrt(fall, final)))
    milestones = [rise, span.total_steps - fall]
    return torch_schedulers.SequentialLR(optimizer, phases, milestones=milestones)


WARMUP_STABLE_DECAY = Family(
    "WarmupStableDecay",
    "Warm-up, the peak, then a decay: WSD (Hu et al. 2024; Hägele et al. 2024: 1-sqrt decay).",
    (
        Float(
            *("warmup_frac", 0.01, 0.1, 0.05),
            above=0.0,
            below=0.5,
            about="the length of the warm-up, as a fraction of the horizon",
        ),
        Float(
            *("decay_frac", 0.1, 0.5, 0.2),
            above=0.0,
            at_most=0.5,
            about="the length of the decay at the end, as a fraction of the horizon",
        ),
        Choice("decay", ("1-sqrt", "linear", "cosine"), about="the shape of the decay"),
        floor_factor(0.1),
    ),
    _warmup_stable_decay,
    torch_class="SequentialLR",
    formula=(
        "0.01 + 0.99 * t / warmup_frac until warmup_frac, 1 until 1 - decay_frac, then "
        "final_factor + (1 - final_factor) * d(u), with u = (t - 1 + decay_frac) / decay_frac; "
        "d(u): 1 - sqrt(u), 1 - u (linear) or (1 + cos(pi * u)) / 2 (cosine)"
    ),
    rises=True,
    one_rate=True,
    look=6,
    key="SequentialLR",
)
