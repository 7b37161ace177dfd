"""Families that fall from the peak rate over the whole horizon."""

from typing import TYPE_CHECKING

from schedsearch.schedules.families.common import (
    Params,
    final_factor,
    floor_factor,
    torch_schedulers,
    torch_swa,
)
from schedsearch.schedules.family import Family, Span
from schedsearch.schedules.params import Choice, Float
from schedsearch.schedules.shapes import InverseSqrt, Rex

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler


def _linear(optimizer: "Optimizer", p: Params, span: Span) -> "LRScheduler":
    length = span.steps(p["length_frac"])
    return torch_schedulers.LinearLR(optimizer, p["start_factor"], p["end_factor"], length)


LINEAR = Family(
    "LinearLR",
    "A straight line down, to zero or near (Bergsma et al. 2025: linear to zero).",
    (
        Float(
            *("start_factor", 1.0, 1.0, 1.0),
            above=0.0,
            at_most=1.0,
            about="the factor of the peak rate at the start",
        ),
        Float(
            *("end_factor", 0.0, 0.2, 0.0),
            at_least=0.0,
            at_most=1.0,
            about="the factor of the peak rate at the end of the line",
        ),
        Float(
            *("length_frac", 0.7, 1.0, 1.0),
            above=0.0,
            at_most=1.0,
            about="the length of the line, as a fraction of the horizon; the rate is flat after it",
        ),
    ),
    _linear,
    torch_class="LinearLR",
    formula="start_factor + (end_factor - start_factor) * min(t / length_frac, 1)",
    look=2,
)


def build_exponential(optimizer: "Optimizer", p: Params, span: Span) -> "LRScheduler":
    """Build torch's ExponentialLR, down to `final_factor` at the end of the span."""
    gamma = p["final_factor"] ** (1 / span.total_steps)
    return torch_schedulers.ExponentialLR(optimizer, gamma)


EXPONENTIAL = Family(
    "ExponentialLR",
    "The same factor at every step, down to final_factor at the end (torch's documentation).",
    (final_factor(1e-4, 0.5, 0.01),),
    build_exponential,
    torch_class="ExponentialLR",
    formula="final_factor^t",
    look=4,
)


def _polynomial(optimizer: "Optimizer", p: Params, span: Span) -> "LRScheduler":
    return torch_schedulers.PolynomialLR(optimizer, span.total_steps, p["power"])


POLYNOMIAL = Family(
    "PolynomialLR",
    "(1 - t)^power down to zero (Chen et al. 2017, DeepLab: power 0.9).",
    (
        Float(
            *("power", 0.5, 4.0, 1.0),
            log=True,
            above=0.0,
            about="the exponent: 1 is a straight line, more falls earlier",
        ),
    ),
    _polynomial,
    torch_class="PolynomialLR",
    formula="(1 - t)^power",
    look=8,
)


def build_cosine(optimizer: "Optimizer", p: Params, span: Span) -> "LRScheduler":
    """Build torch's CosineAnnealingLR, down to `final_factor` (default: zero)."""
    floor = p.get("final_factor", 0.0) * max(span.peaks)
    return torch_schedulers.CosineAnnealingLR(optimizer, span.total_steps, eta_min=floor)


COSINE = Family(
    "CosineAnnealingLR",
    "Half a cosine from the peak to final_factor (Loshchilov & Hutter 2017).",
    (floor_factor(0.1),),
    build_cosine,
    torch_class="CosineAnnealingLR",
    formula="final_factor + (1 - final_factor) * (1 + cos(pi * t)) / 2",
    one_rate=True,
    look=0,
)


def _inverse_sqrt(optimizer: "Optimizer", p: Params, span: Span) -> "LRScheduler":
    return torch_schedulers.LambdaLR(optimizer, InverseSqrt(span.steps(p["timescale_frac"])))


INVERSE_SQRT = Family(
    "InverseSqrt",
    "The slow decay of Transformer training, without its warm-up (Zhai et al. 2021).",
    (
        Float(
            *("timescale_frac", 0.02, 0.5, 0.1),
            log=True,
            above=0.0,
            about="when the rate has fallen to 0.71 of the peak, as a fraction of the horizon",
        ),
    ),
    _inverse_sqrt,
    torch_class="LambdaLR",
    formula="sqrt(timescale_frac / (timescale_frac + t))",
    look=14,
)


def _rex(optimizer: "Optimizer", p: Params, span: Span) -> "LRScheduler":
    return torch_schedulers.LambdaLR(optimizer, Rex(span.total_steps))


REX = Family(
    "REX",
    "A decay that is late and steep, to zero (Chen et al. 2021).",
    (),
    _rex,
    torch_class="LambdaLR",
    formula="(1 - t) / (1/2 + (1 - t) / 2)",
    look=18,
)


def _cosine_times_exponential(optimizer: "Optimizer", p: Params, span: Span) -> "LRScheduler":
    both = [build_cosine(optimizer, {}, span), build_exponential(optimizer, p, span)]
    return torch_schedulers.ChainedScheduler(both)


COSINE_TIMES_EXPONENTIAL = Family(
    "CosineTimesExponential",
    "A cosine to zero times an exponential decay to final_factor (torch's documentation).",
    (final_factor(0.01, 0.9, 0.1),),
    _cosine_times_exponential,
    torch_class="ChainedScheduler",
    formula="(1 + cos(pi * t)) / 2 * final_factor^t",
    look=16,
    key="ChainedScheduler",
)


def _swa(optimizer: "Optimizer", p: Params, span: Span) -> "LRScheduler":
    return torch_swa.SWALR(
        optimizer,
        span.times(p["swa_factor"]),  # type: ignore[arg-type]  # torch takes a list, its hints don't
        anneal_epochs=span.steps(p["anneal_frac"]),
        anneal_strategy=p["anneal_strategy"],
    )


SWA = Family(
    "SWALR",
    "From the peak to swa_factor in anneal_frac, then flat (Izmailov et al. 2018).",
    (
        Float(
            *("swa_factor", 0.01, 0.5, 0.1),
            log=True,
            at_least=0.0,
            at_most=1.0,
            about="the factor of the peak rate after the decay",
        ),
        Float(
            *("anneal_frac", 0.3, 1.0, 0.75),
            above=0.0,
            at_most=1.0,
            about="the length of the decay, as a fraction of the horizon",
        ),
        Choice(
            "anneal_strategy", ("cos", "linear"), about="the shape of the decay: cosine or line"
        ),
    ),
    _swa,
    torch_class="SWALR",
    formula="swa_factor + (1 - swa_factor) * a(min(t / anneal_frac, 1)); a: cosine or line, 1 to 0",
    look=15,
)
