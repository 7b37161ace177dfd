"""Families that rise and fall: cycles, restarts, one cycle."""

import math
from typing import TYPE_CHECKING

from schedsearch.schedules.families.common import (
    CYCLE_MOMENTUM,
    Params,
    floor_factor,
    torch_schedulers,
)
from schedsearch.schedules.family import Family, Span
from schedsearch.schedules.params import Choice, Float, Int

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler


def _warm_restarts(optimizer: "Optimizer", p: Params, span: Span) -> "LRScheduler":
    cycles, growth = p["cycles"], p["T_mult"]
    first_cycles = sum(
        growth**i for i in range(cycles)
    )  # the horizon, in lengths of the first cycle
    return torch_schedulers.CosineAnnealingWarmRestarts(
        optimizer,
        math.ceil(span.total_steps / first_cycles),  # rounded up: no restart just before the end
        growth,
        eta_min=p["final_factor"] * max(span.peaks),
    )


WARM_RESTARTS = Family(
    "CosineAnnealingWarmRestarts",
    "Cosines with restarts, each cycle T_mult times the last (Loshchilov & Hutter 2017).",
    (
        Int("cycles", 2, 4, 2, at_most=50, about="the number of cycles in the horizon"),
        Int("T_mult", 1, 2, 1, at_most=10, about="the length of a cycle over that of the last"),
        floor_factor(0.1),
    ),
    _warm_restarts,
    torch_class="CosineAnnealingWarmRestarts",
    formula=(
        "final_factor + (1 - final_factor) * (1 + cos(pi * u)) / 2; u: the fraction of the cycle "
        "that is over; each cycle is T_mult times as long as the last"
    ),
    one_rate=True,
    look=12,
)


def _cyclic(optimizer: "Optimizer", p: Params, span: Span) -> "LRScheduler":
    return torch_schedulers.CyclicLR(
        optimizer,
        base_lr=span.times(p["low_factor"]),
        max_lr=span.times(1.0),
        # torch takes fractions of a step here; whole steps would end the last cycle too early
        step_size_up=max(0.5 * span.total_steps / p["cycles"], 1.0),
        mode=p["mode"],
        gamma=p.get("final_factor", 1.0) ** (1 / span.total_steps),
        cycle_momentum=p["cycle_momentum"],
    )


CYCLIC = Family(
    "CyclicLR",
    "Up and down between low_factor and the peak (Smith 2017).",
    (
        Choice(
            "mode",
            ("triangular", "triangular2", "exp_range"),
            about="the height of the cycles: equal, halved each time, or falling exponentially",
        ),
        Int("cycles", 1, 6, 3, at_most=1000, about="the number of cycles in the horizon"),
        Float(
            *("low_factor", 0.01, 0.3, 0.1),
            log=True,
            at_least=0.0,
            below=1.0,
            about="the factor of the peak rate between two cycles",
        ),
        Float(
            "final_factor",
            0.01,
            0.9,
            0.1,
            log=True,
            above=0.0,
            at_most=1.0,
            when=("mode", "exp_range"),
            about="the height of a cycle at the last step, over that of the first",
        ),
        CYCLE_MOMENTUM,
    ),
    _cyclic,
    torch_class="CyclicLR",
    formula=(
        "low_factor + (1 - low_factor) * h * s; h: a triangle from 0 to 1 to 0 in each cycle; s: 1 "
        "(triangular), (1/2)^(cycles that are over) (triangular2) or final_factor^t (exp_range)"
    ),
    rises=True,
    look=9,
)


def _one_cycle(optimizer: "Optimizer", p: Params, span: Span) -> "LRScheduler":
    span.at_least(4, "OneCycleLR")
    return torch_schedulers.OneCycleLR(
        optimizer,
        max_lr=span.times(1.0),
        total_steps=span.total_steps,
        # a rise of one step divides by zero in torch: the shortest is two steps
        pct_start=max(p["pct_start"], 2.0 / span.total_steps),
        anneal_strategy=p["anneal_strategy"],
        cycle_momentum=p["cycle_momentum"],
        div_factor=p["div_factor"],
        final_div_factor=p["final_div_factor"],
        three_phase=p["three_phase"],
    )


ONE_CYCLE = Family(
    "OneCycleLR",
    "One rise, one fall, far below the start; two phases or three (Smith & Topin 2018).",
    (
        Float(
            *("pct_start", 0.1, 0.45, 0.3),
            above=0.0,
            at_most=0.5,
            about="the length of the rise, as a fraction (not percent) of the horizon",
        ),
        Choice(
            "anneal_strategy",
            ("cos", "linear"),
            about="the shape of the rise and the fall: cosine or line",
        ),
        Choice(
            "three_phase",
            (False, True),
            about="whether the fall first mirrors the rise, then goes on to the last rate",
        ),
        Float(
            *("div_factor", 5.0, 50.0, 25.0),
            log=True,
            at_least=1.0,
            about="the peak rate over the first rate",
        ),
        Float(
            *("final_div_factor", 10.0, 1e4, 1e4),
            log=True,
            at_least=1.0,
            about="the first rate over the last rate",
        ),
        CYCLE_MOMENTUM,
    ),
    _one_cycle,
    torch_class="OneCycleLR",
    formula=(
        "from 1 / div_factor up to 1 at the last step before pct_start, then down to 1 / "
        "(div_factor * final_div_factor) at the last step; with three_phase, down to 1 / "
        "div_factor first, in as many steps as up; each by a half cosine or a line"
    ),
    rises=True,
    look=3,
)
