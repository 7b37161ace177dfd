"""Each family's formula, written once more in plain Python, against the real scheduler's rates.

`k` steps of `T` are over. Lengths are drawn as whole steps, because a schedule rounds them.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise
from math import cos, pi, sqrt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from live_runs import space

from schedsearch.horizon import evaluation_steps
from schedsearch.schedules.families import FAMILIES, find_family, torch_class_of
from schedsearch.schedules.family import Family
from schedsearch.schedules.params import Float, active
from schedsearch.schedules.schedule import Schedule

T, EVALS = 420, 20  # 420 holds 2, 3, 4, 7 or 15 equal parts: the cycles of all restarts
METRICS = [1.0, 0.9, 0.8, *[0.85] * 9, 0.5, *[0.6] * 7]
Params = Mapping[str, Any]

each_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)


def half_cosine(u: float) -> float:
    return (1 + cos(pi * u)) / 2


def shape(name: str, u: float) -> float:
    return {"cos": half_cosine(u), "cosine": half_cosine(u), "linear": 1 - u}.get(name, 1 - sqrt(u))


def between(high: float, low: float, weight: float) -> float:
    return low + (high - low) * weight


def warm_restarts(p: Params, k: int) -> float:
    lengths = [p["T_mult"] ** i for i in range(p["cycles"])]
    length, start = T / sum(lengths), 0.0
    while k >= start + length - 1e-9:
        start, length = start + length, length * p["T_mult"]
    return between(1.0, p["final_factor"], half_cosine((k - start) / length))


def cyclic(p: Params, k: int) -> float:
    cycle, place = divmod(k * p["cycles"] / T, 1)
    height: float = {
        "triangular": 1.0,
        "triangular2": 0.5**cycle,
        "exp_range": p.get("final_factor", 1.0) ** (k / T),
    }[p["mode"]]
    return between(1.0, p["low_factor"], (1 - abs(2 * place - 1)) * height)


def one_cycle(p: Params, k: int) -> float:
    first: float = 1 / p["div_factor"]
    last: float = first / p["final_div_factor"]
    rise = p["pct_start"] * T
    knots = [(0.0, first), (rise - 1, 1.0), (2 * rise - 2, first), (T - 1.0, last)]
    if not p["three_phase"]:
        del knots[2]
    for (start, high), (end, low) in pairwise(knots):
        if k <= end:
            return between(high, low, shape(p["anneal_strategy"], (k - start) / (end - start)))
    raise AssertionError(k)


def warmup_stable_decay(p: Params, k: int) -> float:
    t = k / T
    if t < p["warmup_frac"]:
        return float(0.01 + 0.99 * t / p["warmup_frac"])
    fall = round(p["decay_frac"] * T)
    u = max(k - (T - fall), 0) / fall
    return between(1.0, p["final_factor"], shape(p["decay"], u))


def swa(p: Params, k: int) -> float:
    u = min(k / T / p["anneal_frac"], 1.0)
    return between(1.0, p["swa_factor"], shape(p["anneal_strategy"], u))


def step(p: Params, k: int) -> float:
    return float(p["gamma"] ** (k // round(p["step_frac"] * T)))


def rex(p: Params, k: int) -> float:
    left = 1 - k / T
    return left / (1 / 2 + left / 2)


def hold_then_exponential(p: Params, k: int) -> float:
    over = max(k / T - p["hold_frac"], 0.0) / (1 - p["hold_frac"])
    return float(p["final_factor"] ** over)


FORMULAS: dict[str, Callable[[Params, int], float]] = {
    "Constant": lambda p, k: 1.0,
    "StepLR": step,
    "MultiStepLR": lambda p, k: p["gamma"] ** sum(round(frac * T) <= k for frac in p["milestones"]),
    "ConstantLR": lambda p, k: p["factor"] if k < round(p["length_frac"] * T) else 1.0,
    "LinearLR": lambda p, k: (
        p["start_factor"]
        + (p["end_factor"] - p["start_factor"]) * min(k / T / p["length_frac"], 1.0)
    ),
    "ExponentialLR": lambda p, k: p["final_factor"] ** (k / T),
    "PolynomialLR": lambda p, k: (1 - k / T) ** p["power"],
    "CosineAnnealingLR": lambda p, k: between(1.0, p["final_factor"], half_cosine(k / T)),
    "CosineAnnealingWarmRestarts": warm_restarts,
    "CyclicLR": cyclic,
    "OneCycleLR": one_cycle,
    "ReduceLROnPlateau": lambda p, k: 1.0,
    "InverseSqrt": lambda p, k: sqrt(p["timescale_frac"] / (p["timescale_frac"] + k / T)),
    "REX": rex,
    "HoldThenExponential": hold_then_exponential,
    "WarmupStableDecay": warmup_stable_decay,
    "CosineTimesExponential": lambda p, k: half_cosine(k / T) * p["final_factor"] ** (k / T),
    "SWALR": swa,
    "ReduceLROnPlateau+StepLR": step,
    "ReduceLROnPlateau+CosineAnnealingLR": lambda p, k: half_cosine(k / T),
}


def cuts(p: Params) -> list[int]:
    """Return the steps after which the plateau of these metrics cuts the rate."""
    patience, cooldown = round(p["patience_frac"] * EVALS), round(p["cooldown_frac"] * EVALS)
    sign = 1 if p["mode"] == "min" else -1
    best, bad, wait, found = sign * float("inf"), 0, 0, []
    for due, metric in zip(evaluation_steps(T, EVALS), METRICS, strict=True):
        margin = 1 - sign * p["threshold"]
        if sign * metric < sign * best * margin:
            best, bad = metric, 0
        else:
            bad += 1
        if wait:
            wait, bad = wait - 1, 0
        if bad > patience:
            found.append(due)
            wait, bad = cooldown, 0
    return found


def expected(family: Family, p: Params) -> list[float]:
    """Return the factor of the peak at each step, by the formula."""
    body = [FORMULAS[family.name](p, k) for k in range(T)]
    if not family.plateau:
        return body
    held, factor = [], 1.0
    due = cuts(p)
    for k in range(T):
        if k in due:  # a rate that is below min_factor already is left alone
            before = factor * body[k]
            if before > p["min_factor"]:
                factor = max(before * p["factor"], p["min_factor"]) / body[k]
        held.append(factor * body[k])
    return held


def factors(schedule: Schedule, family: Family) -> list[float]:
    metrics = METRICS if family.plateau else None
    return [rate / schedule.peak_lr for rate in schedule.trace(T, metrics=metrics)]


def test_every_family_has_a_formula_here_and_in_its_record() -> None:
    assert list(FORMULAS) == [family.name for family in FAMILIES]
    for family in FAMILIES:
        assert family.formula, family.name
        for param in family.params:
            if not family.plateau and param.name not in {"cycle_momentum", "cycles", "mode"}:
                named = param.name in family.formula or param.name in {"three_phase"}
                assert named or param.name in {"anneal_strategy", "decay"}, param.name


@each_family
def test_the_defaults_follow_the_formula(family: Family) -> None:
    schedule = Schedule(family.name, 0.3, evals=EVALS)
    assert factors(schedule, family) == pytest.approx(
        expected(family, schedule.params), rel=1e-9, abs=1e-12
    )


def whole(name: str, value: Any) -> Any:
    """Return a length as a fraction that is a whole number of steps."""
    if name == "milestones":
        return tuple(round(each * T) / T for each in value)
    is_length = name.endswith("_frac") and name not in {"patience_frac", "cooldown_frac"}
    return max(round(value * T), 1) / T if is_length and value else value


@st.composite
def drawn(draw: st.DrawFn) -> tuple[Family, Schedule]:
    family = draw(st.sampled_from(space("all").families))
    params: dict[str, Any] = {}
    for param in family.params:
        if not active(param, params):
            continue
        low, high = param.extremes()[0], param.extremes()[-1]
        if isinstance(param, Float):
            value: Any = draw(st.floats(float(low), float(high)))  # type: ignore[arg-type]
        elif isinstance(low, int) and isinstance(high, int) and not isinstance(low, bool):
            value = draw(st.integers(low, high))
        else:
            value = draw(st.sampled_from(param.extremes()))
        params[param.name] = whole(param.name, value)
    return family, Schedule(family.name, 0.3, params, evals=EVALS)


@settings(max_examples=300)
@given(drawn())
def test_the_rates_follow_the_formula(made: tuple[Family, Schedule]) -> None:
    family, schedule = made
    assert factors(schedule, family) == pytest.approx(
        expected(family, schedule.params), rel=1e-7, abs=1e-10
    )


@each_family
def test_every_parameter_has_a_meaning(family: Family) -> None:
    for param in family.params:
        assert param.about, f"{family.name}.{param.name}"
        assert param.limits()


def test_the_torch_class_is_shown_where_the_name_is_another() -> None:
    shown = {family.name: torch_class_of(family.name) for family in FAMILIES}
    assert shown["StepLR"] is shown["SWALR"] is shown["ReduceLROnPlateau+StepLR"] is None
    assert shown["InverseSqrt"] == "LambdaLR"
    assert shown["Constant"] == "ConstantLR"
    assert torch_class_of("not.imported:FAMILY") is None
    assert find_family("REX").torch_class == shown["REX"] == "LambdaLR"
