"""Families that react to a metric: torch's ReduceLROnPlateau, alone and on top of another."""

from schedsearch.schedules.families.common import GAMMA, STEP_FRAC
from schedsearch.schedules.families.decays import build_cosine
from schedsearch.schedules.families.steps import build_step
from schedsearch.schedules.family import Family
from schedsearch.schedules.params import Choice, Float, Param

_PLATEAU: tuple[Param, ...] = (
    Choice(
        "mode",
        ("min", "max"),
        about="min: a metric that is to fall, the validation loss; max: one that is to rise",
    ),
    Float(
        *("factor", 0.1, 0.7, 0.1),
        log=True,
        above=0.0,
        below=1.0,
        about="the factor by which a cut multiplies the rate",
    ),
    Float(
        *("patience_frac", 0.04, 0.25, 0.1),
        at_least=0.0,
        below=1.0,
        about="evaluations without improvement before a cut, as a fraction of all evaluations",
    ),
    Float(
        *("cooldown_frac", 0.0, 0.1, 0.0),
        at_least=0.0,
        below=1.0,
        about="evaluations after a cut that are not judged, as a fraction of all evaluations",
    ),
    Float(
        *("threshold", 1e-4, 1e-2, 1e-4),
        log=True,
        at_least=0.0,
        about="the least improvement that counts, relative to the best metric so far",
    ),
    Float(
        *("min_factor", 1e-4, 1e-2, 1e-4),
        log=True,
        at_least=0.0,
        below=1.0,
        about="the factor of the peak rate below which no cut goes",
    ),
)

PLATEAU = Family(
    "ReduceLROnPlateau",
    "Times factor when the validation loss (or a metric) stops improving (torch's docs).",
    _PLATEAU,
    None,
    torch_class="ReduceLROnPlateau",
    formula="max(factor^(number of cuts), min_factor)",
    plateau=True,
    look=5,
)

PLATEAU_AND_STEP = Family(
    "ReduceLROnPlateau+StepLR",
    "StepLR, with the cuts of ReduceLROnPlateau on top.",
    (STEP_FRAC, GAMMA, *_PLATEAU),
    build_step,
    torch_class="ReduceLROnPlateau, StepLR",
    formula=("gamma^floor(t / step_frac) * factor^(number of cuts); no cut goes below min_factor"),
    plateau=True,
    look=11,
)

PLATEAU_AND_COSINE = Family(
    "ReduceLROnPlateau+CosineAnnealingLR",
    "A cosine to zero, with the cuts of ReduceLROnPlateau on top.",
    _PLATEAU,
    build_cosine,
    torch_class="ReduceLROnPlateau, CosineAnnealingLR",
    formula="(1 + cos(pi * t)) / 2 * factor^(number of cuts); no cut goes below min_factor",
    plateau=True,
    look=17,
)
