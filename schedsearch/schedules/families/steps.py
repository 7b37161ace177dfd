"""Families that hold a rate and change it at a few steps."""

from typing import TYPE_CHECKING

from schedsearch.schedules.families.common import GAMMA, STEP_FRAC, Params, torch_schedulers
from schedsearch.schedules.family import Family, Span
from schedsearch.schedules.params import Float, Fractions

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler


def _constant(optimizer: "Optimizer", p: Params, span: Span) -> "LRScheduler":
    return torch_schedulers.ConstantLR(optimizer, factor=1.0, total_iters=1)


CONSTANT = Family(
    "Constant",
    "The peak rate throughout: the baseline (torch's ConstantLR with factor 1).",
    (),
    _constant,
    torch_class="ConstantLR",
    formula="1",
)


def build_step(optimizer: "Optimizer", p: Params, span: Span) -> "LRScheduler":
    """Build torch's StepLR."""
    return torch_schedulers.StepLR(optimizer, span.steps(p["step_frac"]), p["gamma"])


STEP = Family(
    "StepLR",
    "Times gamma every step_frac of the horizon (He et al. 2016: 0.1 every third).",
    (STEP_FRAC, GAMMA),
    build_step,
    torch_class="StepLR",
    formula="gamma^floor(t / step_frac)",
    look=1,
)


def _multi_step(optimizer: "Optimizer", p: Params, span: Span) -> "LRScheduler":
    milestones = [span.steps(frac) for frac in p["milestones"]]
    return torch_schedulers.MultiStepLR(optimizer, milestones, p["gamma"])


MULTI_STEP = Family(
    "MultiStepLR",
    "Times gamma at each milestone (Zagoruyko & Komodakis 2016: 0.2 at 0.3, 0.6, 0.8).",
    (
        Fractions(
            *("milestones", (1, 3), 0.25, 0.95, (0.5, 0.75)),
            about="when the rate drops, as fractions of the horizon",
        ),
        GAMMA,
    ),
    _multi_step,
    torch_class="MultiStepLR",
    formula="gamma^(number of milestones <= t)",
    look=7,
)


def _constant_lr(optimizer: "Optimizer", p: Params, span: Span) -> "LRScheduler":
    return torch_schedulers.ConstantLR(optimizer, p["factor"], span.steps(p["length_frac"]))


CONSTANT_LR = Family(
    "ConstantLR",
    "A factor of the peak for the first length_frac, then the peak (torch's documentation).",
    (
        Float(
            *("factor", 0.05, 0.9, 1 / 3),
            log=True,
            above=0.0,
            at_most=1.0,
            about="the factor of the peak rate at the start",
        ),
        Float(
            *("length_frac", 0.02, 0.3, 0.1),
            above=0.0,
            at_most=1.0,
            about="how long that factor holds, as a fraction of the horizon",
        ),
    ),
    _constant_lr,
    torch_class="ConstantLR",
    formula="factor if t < length_frac else 1",
    rises=True,
    look=13,
)
