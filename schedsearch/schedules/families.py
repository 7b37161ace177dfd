"""FAMILIES: the kinds of schedule, each with its torch class, its search space and its builder.

Every parameter is free of the horizon: a length is a fraction of the run (`_frac`), a rate is a
factor of the peak (`_factor`), `base_lr` is the peak itself. The ranges searched by default follow
the sources named in each entry.
"""

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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

from schedsearch.errors import ScheduleError, unknown
from schedsearch.horizon import whole_steps
from schedsearch.schedules.params import Choice, Float, Fractions, Int, Param, Value, active
from schedsearch.schedules.shapes import HoldThenShrink, InverseSqrt, OneMinusSqrt, Rex


@dataclass(frozen=True)
class Span:
    """What a builder is told of the run: the body's steps, and the peak rate of each group."""

    total_steps: int
    peaks: tuple[float, ...]

    def steps(self, frac: float) -> int:
        """Give the whole steps of a fraction of the run, at least one."""
        return whole_steps(frac, self.total_steps)

    def times(self, factor: float) -> list[float]:
        """Give the rate of each group at a factor of its peak."""
        return [factor * peak for peak in self.peaks]

    def at_least(self, steps: int, who: str) -> None:
        """Raise ScheduleError for a horizon of fewer steps."""
        if self.total_steps < steps:
            raise ScheduleError(
                f"{who} needs at least {steps} steps after the warm-up, not {self.total_steps}"
            )


Builder = Callable[[Optimizer, Mapping[str, Any], Span], LRScheduler]


@dataclass(frozen=True)
class Family:
    """A kind of schedule.

    Args:
        name: the torch class's name; for a family of your own, `"package.module:ATTRIBUTE"`.
        about: one sentence, with its source.
        params: the search space.
        body: builds the real scheduler that is stepped per step; None where only a metric acts.
        plateau: also steps a ReduceLROnPlateau on a metric at each evaluation.
        rises: begins with a rise of its own, so a search puts no warm-up in front of it.
        one_rate: the torch class has one absolute rate for all parameter groups.
    """

    name: str
    about: str
    params: tuple[Param, ...]
    body: Builder | None
    plateau: bool = False
    rises: bool = False
    one_rate: bool = False

    def checked(self, given: Mapping[str, Any]) -> dict[str, Value]:
        """Return all parameters, checked, in the family's order; what is not given is the default.

        Raises:
            ScheduleError: an unknown parameter, or a value outside its limits.
        """
        names = [p.name for p in self.params]
        for name in given:
            if name not in names:
                raise ScheduleError(unknown(f"parameter of {self.name}", name, names))
        checked: dict[str, Value] = {}
        for param in self.params:
            where = f"{self.name}.{param.name}"
            if active(param, checked):
                checked[param.name] = param.check(given.get(param.name, param.default), where)
            elif param.name in given and param.when is not None:
                other, value = param.when
                raise ScheduleError(f"{where} has a meaning only when {other} is {value!r}")
        return checked


def _final_factor(low: float, high: float, default: float) -> Float:
    """How far down a decay goes that can't reach zero."""
    return Float("final_factor", low, high, default, log=True, above=0.0, at_most=1.0)


def _floor_factor(high: float, default: float = 0.0) -> Float:
    """How far down a decay goes that may reach zero."""
    return Float("final_factor", 0.0, high, default, at_least=0.0, at_most=1.0)


_GAMMA = Float("gamma", 0.05, 0.8, 0.1, log=True, above=0.0, at_most=1.0)
_CYCLE_MOMENTUM = Choice("cycle_momentum", (False,), legal=(False, True))

# A metric's parameters. `mode` says which one: "min" the validation loss, "max" the accuracy.
_PLATEAU: tuple[Param, ...] = (
    Choice("mode", ("min", "max")),
    Float("factor", 0.1, 0.7, 0.1, log=True, above=0.0, below=1.0),
    Float("patience_frac", 0.04, 0.25, 0.1, at_least=0.0, below=1.0),
    Float("cooldown_frac", 0.0, 0.1, 0.0, at_least=0.0, below=1.0),
    Float("threshold", 1e-4, 1e-2, 1e-4, log=True, at_least=0.0),
    Float("min_factor", 1e-4, 1e-2, 1e-4, log=True, at_least=0.0, below=1.0),
)


def _constant(optimizer: Optimizer, p: Mapping[str, Any], run: Span) -> LRScheduler:
    return ConstantLR(optimizer, factor=1.0, total_iters=1)


def _step(optimizer: Optimizer, p: Mapping[str, Any], run: Span) -> LRScheduler:
    return StepLR(optimizer, run.steps(p["step_frac"]), p["gamma"])


def _multi_step(optimizer: Optimizer, p: Mapping[str, Any], run: Span) -> LRScheduler:
    return MultiStepLR(optimizer, [run.steps(frac) for frac in p["milestones"]], p["gamma"])


def _constant_lr(optimizer: Optimizer, p: Mapping[str, Any], run: Span) -> LRScheduler:
    return ConstantLR(optimizer, p["factor"], run.steps(p["length_frac"]))


def _linear(optimizer: Optimizer, p: Mapping[str, Any], run: Span) -> LRScheduler:
    return LinearLR(optimizer, p["start_factor"], p["end_factor"], run.steps(p["length_frac"]))


def _exponential(optimizer: Optimizer, p: Mapping[str, Any], run: Span) -> LRScheduler:
    return ExponentialLR(optimizer, p["final_factor"] ** (1 / run.total_steps))


def _polynomial(optimizer: Optimizer, p: Mapping[str, Any], run: Span) -> LRScheduler:
    return PolynomialLR(optimizer, run.total_steps, p["power"])


def _cosine(optimizer: Optimizer, p: Mapping[str, Any], run: Span) -> LRScheduler:
    floor = p.get("final_factor", 0.0) * max(run.peaks)
    return CosineAnnealingLR(optimizer, run.total_steps, eta_min=floor)


def _warm_restarts(optimizer: Optimizer, p: Mapping[str, Any], run: Span) -> LRScheduler:
    cycles, growth = p["cycles"], p["T_mult"]
    first_cycles = sum(growth**i for i in range(cycles))  # the run in lengths of its first cycle
    return CosineAnnealingWarmRestarts(
        optimizer,
        math.ceil(run.total_steps / first_cycles),  # rounded up: no restart just before the end
        growth,
        eta_min=p["final_factor"] * max(run.peaks),
    )


def _cyclic(optimizer: Optimizer, p: Mapping[str, Any], run: Span) -> LRScheduler:
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


def _one_cycle(optimizer: Optimizer, p: Mapping[str, Any], run: Span) -> LRScheduler:
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


def _lambda(optimizer: Optimizer, p: Mapping[str, Any], run: Span) -> LRScheduler:
    if p["shape"] == "rex":
        return LambdaLR(optimizer, Rex(run.total_steps))
    return LambdaLR(optimizer, InverseSqrt(run.steps(p["timescale_frac"])))


def _multiplicative(optimizer: Optimizer, p: Mapping[str, Any], run: Span) -> LRScheduler:
    hold_steps = min(round(p["hold_frac"] * run.total_steps), run.total_steps - 1)
    gamma = p["final_factor"] ** (1 / (run.total_steps - hold_steps))
    return MultiplicativeLR(optimizer, HoldThenShrink(hold_steps, gamma))


def _warmup_stable_decay(optimizer: Optimizer, p: Mapping[str, Any], run: Span) -> LRScheduler:
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


def _chained(optimizer: Optimizer, p: Mapping[str, Any], run: Span) -> LRScheduler:
    return ChainedScheduler([_cosine(optimizer, {}, run), _exponential(optimizer, p, run)])


def _swa(optimizer: Optimizer, p: Mapping[str, Any], run: Span) -> LRScheduler:
    return SWALR(
        optimizer,
        run.times(p["swa_factor"]),  # type: ignore[arg-type]  # torch takes a list, its hints don't
        anneal_epochs=run.steps(p["anneal_frac"]),
        anneal_strategy=p["anneal_strategy"],
    )


FAMILIES: tuple[Family, ...] = (
    Family(
        "Constant",
        "The peak rate throughout: the baseline (torch's ConstantLR with factor 1).",
        (),
        _constant,
    ),
    Family(
        "StepLR",
        "Times gamma every step_frac of the run (He et al. 2016: 0.1 every third).",
        (Float("step_frac", 0.1, 0.5, 1 / 3, above=0.0, at_most=1.0), _GAMMA),
        _step,
    ),
    Family(
        "MultiStepLR",
        "Times gamma at each milestone (Zagoruyko & Komodakis 2016: 0.2 at 0.3, 0.6, 0.8).",
        (Fractions("milestones", (1, 3), 0.25, 0.95, (0.5, 0.75)), _GAMMA),
        _multi_step,
    ),
    Family(
        "ConstantLR",
        "A factor of the peak for the first length_frac, then the peak (torch's documentation).",
        (
            Float("factor", 0.05, 0.9, 1 / 3, log=True, above=0.0, at_most=1.0),
            Float("length_frac", 0.02, 0.3, 0.1, above=0.0, at_most=1.0),
        ),
        _constant_lr,
        rises=True,
    ),
    Family(
        "LinearLR",
        "A straight line down, to zero or near (Bergsma et al. 2025: linear to zero).",
        (
            Float("start_factor", 1.0, 1.0, 1.0, above=0.0, at_most=1.0),
            Float("end_factor", 0.0, 0.2, 0.0, at_least=0.0, at_most=1.0),
            Float("length_frac", 0.7, 1.0, 1.0, above=0.0, at_most=1.0),
        ),
        _linear,
    ),
    Family(
        "ExponentialLR",
        "The same factor at every step, down to final_factor at the end (torch's documentation).",
        (_final_factor(1e-4, 0.5, 0.01),),
        _exponential,
    ),
    Family(
        "PolynomialLR",
        "(1 - t)^power down to zero (Chen et al. 2017, DeepLab: power 0.9).",
        (Float("power", 0.5, 4.0, 1.0, log=True, above=0.0),),
        _polynomial,
    ),
    Family(
        "CosineAnnealingLR",
        "Half a cosine from the peak to final_factor (Loshchilov & Hutter 2017).",
        (_floor_factor(0.1),),
        _cosine,
        one_rate=True,
    ),
    Family(
        "CosineAnnealingWarmRestarts",
        "Cosines with restarts, each cycle T_mult times the last (Loshchilov & Hutter 2017).",
        (
            Int("cycles", 2, 4, 2, at_most=50),
            Int("T_mult", 1, 2, 1, at_most=10),
            _floor_factor(0.1),
        ),
        _warm_restarts,
        one_rate=True,
    ),
    Family(
        "CyclicLR",
        "Up and down between low_factor and the peak (Smith 2017).",
        (
            Choice("mode", ("triangular", "triangular2", "exp_range")),
            Int("cycles", 1, 6, 3, at_most=1000),
            Float("low_factor", 0.01, 0.3, 0.1, log=True, at_least=0.0, below=1.0),
            Float(
                "final_factor",
                0.01,
                0.9,
                0.1,
                log=True,
                above=0.0,
                at_most=1.0,
                when=("mode", "exp_range"),
            ),
            _CYCLE_MOMENTUM,
        ),
        _cyclic,
        rises=True,
    ),
    Family(
        "OneCycleLR",
        "One rise, one fall, far below the start; two phases or three (Smith & Topin 2018).",
        (
            Float("pct_start", 0.1, 0.45, 0.3, above=0.0, at_most=0.5),
            Choice("anneal_strategy", ("cos", "linear")),
            Choice("three_phase", (False, True)),
            Float("div_factor", 5.0, 50.0, 25.0, log=True, at_least=1.0),
            Float("final_div_factor", 10.0, 1e4, 1e4, log=True, at_least=1.0),
            _CYCLE_MOMENTUM,
        ),
        _one_cycle,
        rises=True,
    ),
    Family(
        "ReduceLROnPlateau",
        "Times factor when the validation loss (or accuracy) stops improving (torch's docs).",
        _PLATEAU,
        None,
        plateau=True,
    ),
    Family(
        "LambdaLR",
        "Inverse square root (Zhai et al. 2021) or REX (Chen et al. 2021).",
        (
            Choice("shape", ("inverse_sqrt", "rex")),
            Float(
                "timescale_frac",
                0.02,
                0.5,
                0.1,
                log=True,
                above=0.0,
                when=("shape", "inverse_sqrt"),
            ),
        ),
        _lambda,
    ),
    Family(
        "MultiplicativeLR",
        "The peak for hold_frac, then the same factor at every step (Gotmare et al. 2019).",
        (
            Float("hold_frac", 0.0, 0.8, 0.5, at_least=0.0, below=1.0),
            _final_factor(1e-3, 0.3, 0.01),
        ),
        _multiplicative,
    ),
    Family(
        "SequentialLR",
        "Warm-up, stable, decay: WSD (Hu et al. 2024; Hägele et al. 2024: 1-sqrt decay).",
        (
            Float("warmup_frac", 0.01, 0.1, 0.05, above=0.0, below=0.5),
            Float("decay_frac", 0.1, 0.5, 0.2, above=0.0, at_most=0.5),
            Choice("decay", ("1-sqrt", "linear", "cosine")),
            _floor_factor(0.1),
        ),
        _warmup_stable_decay,
        rises=True,
        one_rate=True,
    ),
    Family(
        "ChainedScheduler",
        "A cosine to zero times an exponential decay to final_factor (torch's documentation).",
        (_final_factor(0.01, 0.9, 0.1),),
        _chained,
    ),
    Family(
        "SWALR",
        "From the peak to swa_factor in anneal_frac, then flat (Izmailov et al. 2018).",
        (
            Float("swa_factor", 0.01, 0.5, 0.1, log=True, at_least=0.0, at_most=1.0),
            Float("anneal_frac", 0.3, 1.0, 0.75, above=0.0, at_most=1.0),
            Choice("anneal_strategy", ("cos", "linear")),
        ),
        _swa,
    ),
    Family(
        "ReduceLROnPlateau+StepLR",
        "StepLR, with the cuts of ReduceLROnPlateau on top.",
        (Float("step_frac", 0.1, 0.5, 1 / 3, above=0.0, at_most=1.0), _GAMMA, *_PLATEAU),
        _step,
        plateau=True,
    ),
    Family(
        "ReduceLROnPlateau+CosineAnnealingLR",
        "A cosine to zero, with the cuts of ReduceLROnPlateau on top.",
        _PLATEAU,
        _cosine,
        plateau=True,
    ),
)

# What people choose between most often, and what a study of some sixty trials can cover.
DEFAULT_FAMILIES: tuple[str, ...] = (
    "Constant",
    "StepLR",
    "MultiStepLR",
    "ExponentialLR",
    "LinearLR",
    "CosineAnnealingLR",
    "OneCycleLR",
    "ReduceLROnPlateau",
)


def find_family(name: str) -> Family:
    """Return the family of a name; one of your own is `"package.module:ATTRIBUTE"`.

    This never imports anything: the module of a family of your own must have been imported before.

    Raises:
        ScheduleError: no such family (the message names the nearest, and all there are).

    >>> find_family("StepLR").name
    'StepLR'
    """
    for family in FAMILIES:
        if family.name == name:
            return family
    module_name, colon, attribute = name.partition(":")
    if not colon:
        raise ScheduleError(unknown("family", name, (f.name for f in FAMILIES)))
    if module_name not in sys.modules:
        raise ScheduleError(f"family {name!r}: import {module_name} before you use this schedule")
    found = getattr(sys.modules[module_name], attribute, None)
    if not isinstance(found, Family) or found.name != name:
        raise ScheduleError(f"{name} must be a schedsearch.Family whose name is {name!r}")
    return found
