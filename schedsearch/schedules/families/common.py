"""What several families share: torch's scheduler classes, imported on first use, and parameters."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from schedsearch.imports import lazy
from schedsearch.schedules.params import Choice, Float

if TYPE_CHECKING:
    from torch.optim import lr_scheduler as torch_schedulers
    from torch.optim import swa_utils as torch_swa
else:  # a family is a value: only building one needs torch
    torch_schedulers = lazy("torch.optim.lr_scheduler")
    torch_swa = lazy("torch.optim.swa_utils")

__all__ = [
    "CYCLE_MOMENTUM",
    "GAMMA",
    "STEP_FRAC",
    "Params",
    "final_factor",
    "floor_factor",
    "torch_schedulers",
    "torch_swa",
]

Params: TypeAlias = Mapping[str, Any]


def final_factor(low: float, high: float, default: float) -> Float:
    """Return the last rate of a decay that cannot reach zero, as a factor of the peak."""
    return Float(
        *("final_factor", low, high, default),
        log=True,
        above=0.0,
        at_most=1.0,
        about="the factor of the peak rate at the last step",
    )


def floor_factor(high: float, default: float = 0.0) -> Float:
    """Return the last rate of a decay that may reach zero, as a factor of the peak."""
    return Float(
        *("final_factor", 0.0, high, default),
        at_least=0.0,
        at_most=1.0,
        about="the factor of the peak rate that the decay falls to",
    )


GAMMA = Float(
    *("gamma", 0.05, 0.8, 0.1),
    log=True,
    above=0.0,
    at_most=1.0,
    about="the factor by which the rate is multiplied at each drop",
)
STEP_FRAC = Float(
    *("step_frac", 0.1, 0.5, 1 / 3),
    above=0.0,
    at_most=1.0,
    about="the time between two drops, as a fraction of the horizon",
)
CYCLE_MOMENTUM = Choice(
    "cycle_momentum",
    (False,),
    legal=(False, True),
    about="whether momentum (or Adam's beta1) moves against the rate, as by torch's default",
)
