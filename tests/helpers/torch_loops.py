"""What somebody who knows only torch writes: each family by hand, and the loop around it.

Nothing here comes from schedsearch: it is what schedsearch is measured against. All numbers are
worked out by hand for 120 steps, 10 evaluations and a rate of 0.5 (a power of two, so that 0.05
times the rate is exactly the literal 0.025).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.optim import SGD, Optimizer
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
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)
from torch.optim.swa_utils import SWALR

STEPS = 120
EVALS = 10
RATE = 0.5
WARMUP = 30  # in front of the 120: the bodies below are the same with and without it

# What evaluations find; in mode "max" they are 1 - x. From .9 to .8995 is better for the threshold
# of the one, not of the other. The first two in a warm-up are far too good: whoever counts them
# sees no improvement later on.
LOSSES = (1.0, 0.9, *[0.8995] * 8)
LOSSES_AFTER_WARMUP = (0.1, 0.1, 1.0, 0.9, *[0.8995] * 6)


@dataclass(frozen=True)
class Row:
    """A family's parameters, and the same by hand."""

    family: str
    params: dict[str, Any]
    scheduler: Callable[[Optimizer], LRScheduler] | None
    plateau: Callable[[Optimizer], ReduceLROnPlateau] | None = None

    def __str__(self) -> str:
        said = (f"{v:g}" if isinstance(v, float) else str(v) for v in self.params.values())
        return "-".join((self.family, *said)).replace(" ", "")

    def metrics(self, warmup: int = 0) -> tuple[float, ...]:
        if self.plateau is None:
            return ()
        losses = LOSSES_AFTER_WARMUP if warmup else LOSSES
        return tuple(1 - x for x in losses) if self.params.get("mode") == "max" else losses


def plateau_min(o: Optimizer) -> ReduceLROnPlateau:
    return ReduceLROnPlateau(o, "min", factor=0.5, patience=2, cooldown=1, min_lr=0.00005)


def plateau_max(o: Optimizer) -> ReduceLROnPlateau:
    return ReduceLROnPlateau(o, "max", factor=0.1, patience=1, threshold=0.01, min_lr=0.0005)


PLATEAU_MIN = {"mode": "min", "factor": 0.5, "patience_frac": 0.2, "cooldown_frac": 0.1}
PLATEAU_MAX = {
    "mode": "max",
    "factor": 0.1,
    "patience_frac": 0.1,
    "threshold": 0.01,
    "min_factor": 0.001,
}


def rising_then_flat(o: Optimizer) -> list[LRScheduler]:
    return [LinearLR(o, start_factor=0.01, total_iters=6), ConstantLR(o, 1.0, 1)]


# fmt: off
ORACLE: tuple[Row, ...] = (
    Row("Constant", {}, lambda o: LambdaLR(o, lambda step: 1.0)),
    Row("StepLR", {"step_frac": 1 / 3, "gamma": 0.1}, lambda o: StepLR(o, 40, 0.1)),
    Row("StepLR", {"step_frac": 0.1, "gamma": 0.7}, lambda o: StepLR(o, 12, 0.7)),
    Row("MultiStepLR", {"milestones": (0.5, 0.75), "gamma": 0.1},
        lambda o: MultiStepLR(o, [60, 90], 0.1)),
    Row("MultiStepLR", {"milestones": (0.3, 0.6, 0.8), "gamma": 0.2},
        lambda o: MultiStepLR(o, [36, 72, 96], 0.2)),
    Row("ConstantLR", {"factor": 0.3, "length_frac": 0.1}, lambda o: ConstantLR(o, 0.3, 12)),
    Row("LinearLR", {}, lambda o: LinearLR(o, 1.0, 0.0, 120)),
    Row("LinearLR", {"start_factor": 0.8, "end_factor": 0.1, "length_frac": 0.75},
        lambda o: LinearLR(o, 0.8, 0.1, 90)),
    Row("ExponentialLR", {"final_factor": 0.01}, lambda o: ExponentialLR(o, 0.01 ** (1 / 120))),
    Row("PolynomialLR", {"power": 2.0}, lambda o: PolynomialLR(o, 120, 2.0)),
    Row("PolynomialLR", {"power": 0.9}, lambda o: PolynomialLR(o, 120, 0.9)),
    Row("CosineAnnealingLR", {}, lambda o: CosineAnnealingLR(o, 120)),
    Row("CosineAnnealingLR", {"final_factor": 0.05},
        lambda o: CosineAnnealingLR(o, 120, eta_min=0.025)),
    Row("CosineAnnealingWarmRestarts", {"cycles": 3, "T_mult": 1},
        lambda o: CosineAnnealingWarmRestarts(o, 40)),
    Row("CosineAnnealingWarmRestarts", {"cycles": 3, "T_mult": 2, "final_factor": 0.05},
        lambda o: CosineAnnealingWarmRestarts(o, 18, 2, eta_min=0.025)),  # 18 + 36 + 66 of 72
    Row("CyclicLR", {"mode": "triangular", "cycles": 3, "low_factor": 0.1},
        lambda o: CyclicLR(o, 0.05, 0.5, step_size_up=20, cycle_momentum=False)),
    Row("CyclicLR", {"mode": "triangular2", "cycles": 4, "low_factor": 0.1},
        lambda o: CyclicLR(o, 0.05, 0.5, 15, mode="triangular2", cycle_momentum=False)),
    Row("CyclicLR", {"mode": "exp_range", "cycles": 2, "low_factor": 0.05, "final_factor": 0.2},
        lambda o: CyclicLR(o, 0.025, 0.5, 30, mode="exp_range", gamma=0.2 ** (1 / 120),
                           cycle_momentum=False)),
    Row("CyclicLR", {"mode": "triangular", "low_factor": 0.1, "cycle_momentum": True},
        lambda o: CyclicLR(o, 0.05, 0.5, step_size_up=20)),
    Row("OneCycleLR", {},
        lambda o: OneCycleLR(o, 0.5, total_steps=120, cycle_momentum=False)),
    Row("OneCycleLR", {"anneal_strategy": "linear", "pct_start": 0.2, "div_factor": 10.0},
        lambda o: OneCycleLR(o, 0.5, total_steps=120, pct_start=0.2, anneal_strategy="linear",
                             div_factor=10.0, cycle_momentum=False)),
    Row("OneCycleLR", {"three_phase": True, "final_div_factor": 100.0},
        lambda o: OneCycleLR(o, 0.5, total_steps=120, three_phase=True, final_div_factor=100.0,
                             cycle_momentum=False)),
    Row("OneCycleLR", {"three_phase": True, "anneal_strategy": "linear", "pct_start": 0.45},
        lambda o: OneCycleLR(o, 0.5, total_steps=120, three_phase=True, pct_start=0.45,
                             anneal_strategy="linear", cycle_momentum=False)),
    Row("OneCycleLR", {"cycle_momentum": True}, lambda o: OneCycleLR(o, 0.5, total_steps=120)),
    Row("ReduceLROnPlateau", PLATEAU_MIN, None, plateau_min),
    Row("ReduceLROnPlateau", PLATEAU_MAX, None, plateau_max),
    Row("InverseSqrt", {"timescale_frac": 0.1},
        lambda o: LambdaLR(o, lambda step: math.sqrt(12 / (12 + step)))),
    Row("REX", {},
        lambda o: LambdaLR(o, lambda step: (1 - step / 120) / (0.5 + 0.5 * (1 - step / 120)))),
    Row("HoldThenExponential", {"hold_frac": 0.5, "final_factor": 0.01},
        lambda o: MultiplicativeLR(o, lambda step: 0.01 ** (1 / 60) if step > 60 else 1.0)),
    Row("WarmupStableDecay", {"warmup_frac": 0.05, "decay_frac": 0.2, "decay": "1-sqrt"},
        lambda o: SequentialLR(o, [*rising_then_flat(o), LambdaLR(
            o, lambda step: 1 - math.sqrt(min(step / 24, 1.0)))], [6, 96])),
    Row("WarmupStableDecay", {"decay": "linear", "decay_frac": 0.2, "final_factor": 0.1},
        lambda o: SequentialLR(o, [*rising_then_flat(o), LinearLR(o, 1.0, 0.1, 24)], [6, 96])),
    Row("WarmupStableDecay", {"decay": "cosine", "decay_frac": 0.5, "final_factor": 0.05},
        lambda o: SequentialLR(o, [*rising_then_flat(o), CosineAnnealingLR(o, 60, 0.025)],
                               [6, 60])),
    Row("CosineTimesExponential", {"final_factor": 0.1},
        lambda o: ChainedScheduler(
            [CosineAnnealingLR(o, 120), ExponentialLR(o, 0.1 ** (1 / 120))])),
    Row("SWALR", {"swa_factor": 0.1, "anneal_frac": 0.75},
        lambda o: SWALR(o, 0.05, anneal_epochs=90)),
    Row("SWALR", {"swa_factor": 0.05, "anneal_frac": 1.0, "anneal_strategy": "linear"},
        lambda o: SWALR(o, 0.025, anneal_epochs=120, anneal_strategy="linear")),
    Row("ReduceLROnPlateau+StepLR", {"step_frac": 1 / 3, "gamma": 0.1} | PLATEAU_MIN,
        lambda o: StepLR(o, 40, 0.1), plateau_min),
    Row("ReduceLROnPlateau+StepLR", {"step_frac": 0.25, "gamma": 0.5} | PLATEAU_MAX,
        lambda o: StepLR(o, 30, 0.5), plateau_max),
    Row("ReduceLROnPlateau+CosineAnnealingLR", PLATEAU_MIN,
        lambda o: CosineAnnealingLR(o, 120), plateau_min),
    Row("ReduceLROnPlateau+CosineAnnealingLR", PLATEAU_MAX,
        lambda o: CosineAnnealingLR(o, 120), plateau_max),
)
# fmt: on


@dataclass
class Seen:
    """What a training run saw: at each step the rates and the momentum; at the end the weights."""

    group_rates: list[list[float]] = field(default_factory=list)
    momenta: list[float] = field(default_factory=list)
    weights: list[list[float]] = field(default_factory=list)

    @property
    def rates(self) -> list[float]:
        return [rates[0] for rates in self.group_rates]

    def look(self, optimizer: Optimizer) -> None:
        group = optimizer.param_groups[0]
        self.group_rates.append([float(g["lr"]) for g in optimizer.param_groups])
        self.momenta.append(float(group["momentum"] if "momentum" in group else group["betas"][0]))

    def finish(self, optimizer: Optimizer) -> "Seen":
        self.weights = [g["params"][0].tolist() for g in optimizer.param_groups]
        return self


INPUTS = torch.linspace(0, 4, 32).cos().view(8, 4) / 4


def tiny_weights() -> torch.Tensor:
    return torch.linspace(-1, 1, 4, requires_grad=True)


def train_step(optimizer: Optimizer) -> float:
    """Descend once on a small least-squares loss of each group's weights, and return it."""
    loss = 0.0
    for group in optimizer.param_groups:
        weights = group["params"][0]
        errors = INPUTS @ weights.detach() - 1
        weights.grad = INPUTS.T @ errors  # by hand: autograd would take most of the suite's time
        loss += errors.square().sum().item()
    optimizer.step()
    return loss / 2


def by_hand(row: Row, warmup: int = 0, start_factor: float = 0.01) -> Seen:
    """Train with the row's scheduler for 120 steps, after a warm-up of `warmup` steps.

    The warm-up is torch's LinearLR on an optimizer at the body's first rate, step after step; then
    the body finds the rate that it set, and from then on evaluations count.
    """
    optimizer = SGD([tiny_weights()], lr=RATE, momentum=0.9)
    scheduler = row.scheduler(optimizer) if row.scheduler else None
    plateau = row.plateau(optimizer) if row.plateau else None
    first_rate = optimizer.param_groups[0]["lr"]
    ramp_optimizer = SGD([tiny_weights()], lr=first_rate)
    ramp = LinearLR(ramp_optimizer, start_factor=start_factor, total_iters=max(warmup, 1))
    seen, metrics = Seen(), row.metrics(warmup)
    every = (STEPS + warmup) // EVALS
    for step in range(1, STEPS + warmup + 1):
        if step <= warmup:
            optimizer.param_groups[0]["lr"] = ramp_optimizer.param_groups[0]["lr"]
            ramp_optimizer.step()
            ramp.step()
        elif step == warmup + 1:
            optimizer.param_groups[0]["lr"] = first_rate
        seen.look(optimizer)
        train_step(optimizer)
        if scheduler and step > warmup:
            scheduler.step()
        if plateau and step > warmup and step % every == 0:
            plateau.step(metrics[step // every - 1])
    return seen.finish(optimizer)
