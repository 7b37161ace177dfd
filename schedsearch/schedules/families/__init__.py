"""FAMILIES: the kinds of schedule, each with its torch class, its search space and its builder.

No parameter depends on the horizon: a length is a fraction of the horizon (`_frac`), a rate is a
factor of the peak rate (`_factor`), and `peak_lr` is the peak rate itself. The ranges searched by
default follow the sources named in each record.
"""

import sys

from schedsearch.errors import ScheduleError, unknown
from schedsearch.schedules.families import cycles, decays, phases, plateau, steps
from schedsearch.schedules.family import Family

FAMILIES: tuple[Family, ...] = (
    steps.CONSTANT,
    steps.STEP,
    steps.MULTI_STEP,
    steps.CONSTANT_LR,
    decays.LINEAR,
    decays.EXPONENTIAL,
    decays.POLYNOMIAL,
    decays.COSINE,
    cycles.WARM_RESTARTS,
    cycles.CYCLIC,
    cycles.ONE_CYCLE,
    plateau.PLATEAU,
    decays.INVERSE_SQRT,
    decays.REX,
    phases.HOLD_THEN_EXPONENTIAL,
    phases.WARMUP_STABLE_DECAY,
    decays.COSINE_TIMES_EXPONENTIAL,
    decays.SWA,
    plateau.PLATEAU_AND_STEP,
    plateau.PLATEAU_AND_COSINE,
)

# What people choose between most often, and what a study of some hundred trials can cover.
# WarmupStableDecay was among the best on both tasks of scripts/bench search.
DEFAULT_FAMILIES: tuple[str, ...] = (
    "Constant",
    "StepLR",
    "MultiStepLR",
    "ExponentialLR",
    "LinearLR",
    "CosineAnnealingLR",
    "OneCycleLR",
    "WarmupStableDecay",
    "ReduceLROnPlateau",
)


def torch_class_of(name: str) -> str | None:
    """Return the torch class that a family builds, if the name does not say so already.

    None stands for a family that has the name of its torch class, or that is not imported.

    >>> torch_class_of("WarmupStableDecay"), torch_class_of("StepLR")
    ('SequentialLR', None)
    """
    try:
        family = find_family(name)
    except ScheduleError:
        return None
    named_so = family.torch_class == name or family.torch_class.split(", ") == name.split("+")
    return None if named_so else family.torch_class or None


def find_family(name: str) -> Family:
    """Return the family of a name; a family of your own is `"package.module:ATTRIBUTE"`.

    Nothing is imported: import the module of a family of your own first.

    Raises:
        ScheduleError: no such family; the message names the nearest one, and all others.

    >>> find_family("StepLR").name
    'StepLR'
    """
    for family in FAMILIES:
        if family.name == name:
            return family
    module_name, colon, attribute = name.partition(":")
    if not colon:
        raise ScheduleError(_container(name) or unknown("family", name, (f.name for f in FAMILIES)))
    if module_name not in sys.modules:
        raise ScheduleError(f"family {name!r}: import {module_name} before you use this schedule")
    found = getattr(sys.modules[module_name], attribute, None)
    if not isinstance(found, Family) or found.name != name:
        raise ScheduleError(f"{name} must be a schedsearch.Family whose name is {name!r}")
    return found


def _container(torch_class: str) -> str | None:
    """Word the message for a torch class that is a container, named here by what it is filled with.

    >>> _container("SequentialLR")
    "unknown family 'SequentialLR': families are named by their shape: did you mean \
'WarmupStableDecay'?"
    """
    shapes = [repr(family.name) for family in FAMILIES if family.torch_class == torch_class]
    if not shapes:
        return None
    hint = f"families are named by their shape: did you mean {' or '.join(shapes)}?"
    return f"unknown family {torch_class!r}: {hint}"
