"""Builders: the real torch scheduler of each family; FAMILIES says what each does."""

import math
from collections.abc import Mapping
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    MultiplicativeLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    SequentialLR,
    StepLR,
)
from torch.optim.swa_utils import SWALR

from schedsearch.schedules.family import Span
from schedsearch.schedules.shapes import HoldThenShrink, InverseSqrt, OneMinusSqrt, Rex

Params = Mapping[str, Any]


def constant(optimizer: Optimizer, p: Params, run: Span) -> LRScheduler:
    return ConstantLR(optimizer, factor=1.0, total_iters=1)


def step(optimizer: Optimizer, p: Params, run: Span) -> LRScheduler:
    return StepLR(optimizer, run.steps(p["step_frac"]), p["gamma"])


def multi_step(optimizer: Optimizer, p: Params, run: Span) -> LRScheduler:
    return MultiStepLR(optimizer, [run.steps(frac) for frac in p["milestones"]], p["gamma"])


def constant_lr(optimizer: Optimizer, p: Params, run: Span) -> LRScheduler:
    return ConstantLR(optimizer, p["factor"], run.steps(p["length_frac"]))


def linear(optimizer: Optimizer, p: Params, run: Span) -> LRScheduler:
    return LinearLR(optimizer, p["start_factor"], p["end_factor"], run.steps(p["length_frac"]))


def exponential(optimizer: Optimizer, p: Params, run: Span) -> LRScheduler:
    return ExponentialLR(optimizer, p["final_factor"] ** (1 / run.total_steps))


def polynomial(optimizer: Optimizer, p: Params, run: Span) -> LRScheduler:
    return PolynomialLR(optimizer, run.total_steps, p["power"])


def cosine(optimizer: Optimizer, p: Params, run: Span) -> LRScheduler:
    floor = p.get("final_factor", 0.0) * max(run.peaks)
    return CosineAnnealingLR(optimizer, run.total_steps, eta_min=floor)


def warm_restarts(optimizer: Optimizer, p: Params, run: Span) -> LRScheduler:
    cycles, growth = p["cycles"], p["T_mult"]
    first_cycles = sum(growth**i for i in range(cycles))  # the run in lengths of its first cycle
    return CosineAnnealingWarmRestarts(
        optimizer,
        math.ceil(run.total_steps / first_cycles),  # rounded up: no restart just before the end
        growth,
        eta_min=p["final_factor"] * max(run.peaks),
    )


def cyclic(optimizer: Optimizer, p: Params, run: Span) -> LRScheduler:
    return CyclicLR(
        optimizer,
        base_lr=run.times(p["low_factor"]),
        max_lr=run.times(1.0),
        # torch takes a fraction of a step here; rounded, the last cycle would end before the run
        step_size_up=max(0.5 * run.total_steps / p["cycles"], 1.0),
        mode=p["mode"],
        gamma=p.get("final_factor", 1.0) ** (1 / run.total_steps),
        cycle_momentum=p["cycle_momentum"],
    )


def one_cycle(optimizer: Optimizer, p: Params, run: Span) -> LRScheduler:
    run.at_least(4, "OneCycleLR")
    return OneCycleLR(
        optimizer,
        max_lr=run.times(1.0),
        total_steps=run.total_steps,
        # a rise of one step divides by zero in torch: the shortest is two steps
        pct_start=max(p["pct_start"], 2.0 / run.total_steps),
        anneal_strategy=p["anneal_strategy"],
        cycle_momentum=p["cycle_momentum"],
        div_factor=p["div_factor"],
        final_div_factor=p["final_div_factor"],
        three_phase=p["three_phase"],
    )


def lambda_shape(optimizer: Optimizer, p: Params, run: Span) -> LRScheduler:
    if p["shape"] == "rex":
        return LambdaLR(optimizer, Rex(run.total_steps))
    return LambdaLR(optimizer, InverseSqrt(run.steps(p["timescale_frac"])))


def multiplicative(optimizer: Optimizer, p: Params, run: Span) -> LRScheduler:
    hold_steps = min(round(p["hold_frac"] * run.total_steps), run.total_steps - 1)
    gamma = p["final_factor"] ** (1 / (run.total_steps - hold_steps))
    return MultiplicativeLR(optimizer, HoldThenShrink(hold_steps, gamma))


def warmup_stable_decay(optimizer: Optimizer, p: Params, run: Span) -> LRScheduler:
    rise, fall = run.steps(p["warmup_frac"]), run.steps(p["decay_frac"])
    run.at_least(rise + fall + 1, "SequentialLR (warm-up, stable, decay)")
    final, decay = p["final_factor"], p["decay"]
    phases = [
        LinearLR(optimizer, start_factor=0.01, total_iters=rise),
        ConstantLR(optimizer, factor=1.0, total_iters=1),
    ]
    if decay == "linear":
        phases.append(LinearLR(optimizer, 1.0, final, fall))
    elif decay == "cosine":
        phases.append(CosineAnnealingLR(optimizer, fall, eta_min=final * max(run.peaks)))
    else:
        phases.append(LambdaLR(optimizer, OneMinusSqrt(fall, final)))
    return SequentialLR(optimizer, phases, milestones=[rise, run.total_steps - fall])


def chained(optimizer: Optimizer, p: Params, run: Span) -> LRScheduler:
    return ChainedScheduler([cosine(optimizer, {}, run), exponential(optimizer, p, run)])


def swa(optimizer: Optimizer, p: Params, run: Span) -> LRScheduler:
    return SWALR(
        optimizer,
        run.times(p["swa_factor"]),  # type: ignore[arg-type]  # torch takes a list, its hints don't
        anneal_epochs=run.steps(p["anneal_frac"]),
        anneal_strategy=p["anneal_strategy"],
    )
