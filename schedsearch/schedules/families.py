"""FAMILIES: the kinds of schedule, each with its torch class, its search space and its builder.

Every parameter is free of the horizon: a length is a fraction of the run (`_frac`), a rate is a
factor of the peak (`_factor`), `base_lr` is the peak itself. The ranges searched by default follow
the sources named in each entry.
"""

import sys

from schedsearch.errors import ScheduleError, unknown
from schedsearch.schedules import builders
from schedsearch.schedules.family import Family
from schedsearch.schedules.params import Choice, Float, Fractions, Int, Param


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


FAMILIES: tuple[Family, ...] = (
    Family(
        "Constant",
        "The peak rate throughout: the baseline (torch's ConstantLR with factor 1).",
        (),
        builders.constant,
    ),
    Family(
        "StepLR",
        "Times gamma every step_frac of the run (He et al. 2016: 0.1 every third).",
        (Float("step_frac", 0.1, 0.5, 1 / 3, above=0.0, at_most=1.0), _GAMMA),
        builders.step,
    ),
    Family(
        "MultiStepLR",
        "Times gamma at each milestone (Zagoruyko & Komodakis 2016: 0.2 at 0.3, 0.6, 0.8).",
        (Fractions("milestones", (1, 3), 0.25, 0.95, (0.5, 0.75)), _GAMMA),
        builders.multi_step,
    ),
    Family(
        "ConstantLR",
        "A factor of the peak for the first length_frac, then the peak (torch's documentation).",
        (
            Float("factor", 0.05, 0.9, 1 / 3, log=True, above=0.0, at_most=1.0),
            Float("length_frac", 0.02, 0.3, 0.1, above=0.0, at_most=1.0),
        ),
        builders.constant_lr,
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
        builders.linear,
    ),
    Family(
        "ExponentialLR",
        "The same factor at every step, down to final_factor at the end (torch's documentation).",
        (_final_factor(1e-4, 0.5, 0.01),),
        builders.exponential,
    ),
    Family(
        "PolynomialLR",
        "(1 - t)^power down to zero (Chen et al. 2017, DeepLab: power 0.9).",
        (Float("power", 0.5, 4.0, 1.0, log=True, above=0.0),),
        builders.polynomial,
    ),
    Family(
        "CosineAnnealingLR",
        "Half a cosine from the peak to final_factor (Loshchilov & Hutter 2017).",
        (_floor_factor(0.1),),
        builders.cosine,
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
        builders.warm_restarts,
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
        builders.cyclic,
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
        builders.one_cycle,
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
        builders.lambda_shape,
    ),
    Family(
        "MultiplicativeLR",
        "The peak for hold_frac, then the same factor at every step (Gotmare et al. 2019).",
        (
            Float("hold_frac", 0.0, 0.8, 0.5, at_least=0.0, below=1.0),
            _final_factor(1e-3, 0.3, 0.01),
        ),
        builders.multiplicative,
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
        builders.warmup_stable_decay,
        rises=True,
        one_rate=True,
    ),
    Family(
        "ChainedScheduler",
        "A cosine to zero times an exponential decay to final_factor (torch's documentation).",
        (_final_factor(0.01, 0.9, 0.1),),
        builders.chained,
    ),
    Family(
        "SWALR",
        "From the peak to swa_factor in anneal_frac, then flat (Izmailov et al. 2018).",
        (
            Float("swa_factor", 0.01, 0.5, 0.1, log=True, at_least=0.0, at_most=1.0),
            Float("anneal_frac", 0.3, 1.0, 0.75, above=0.0, at_most=1.0),
            Choice("anneal_strategy", ("cos", "linear")),
        ),
        builders.swa,
    ),
    Family(
        "ReduceLROnPlateau+StepLR",
        "StepLR, with the cuts of ReduceLROnPlateau on top.",
        (Float("step_frac", 0.1, 0.5, 1 / 3, above=0.0, at_most=1.0), _GAMMA, *_PLATEAU),
        builders.step,
        plateau=True,
    ),
    Family(
        "ReduceLROnPlateau+CosineAnnealingLR",
        "A cosine to zero, with the cuts of ReduceLROnPlateau on top.",
        _PLATEAU,
        builders.cosine,
        plateau=True,
    ),
)

# What people choose between most often, and what a study of some hundred trials can cover. Warm-up,
# stable, decay (SequentialLR) was among the best on both tasks of scripts/bench search.
DEFAULT_FAMILIES: tuple[str, ...] = (
    "Constant",
    "StepLR",
    "MultiStepLR",
    "ExponentialLR",
    "LinearLR",
    "CosineAnnealingLR",
    "OneCycleLR",
    "SequentialLR",
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
