"""The reference engine against a loop by hand: same rates to the last bit, same losses."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import pytest
from hand_loop import (
    EVALS,
    RATE,
    SEED,
    STEPS,
    Optimizing,
    PerEvaluation,
    PerStep,
    Row,
    assert_same,
    by_hand,
    digits,
    recorded,
    sgd,
)
from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LinearLR,
    LRScheduler,
    OneCycleLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)

from schedsearch import FAMILIES, Curve, OptimizerSpec, Schedule, Task, Warmup, train
from schedsearch.training.recipe import Recipe

# A plateau that cuts within nine evaluations: each must better the best by half (a fifth).
MIN: dict[str, Any] = {"mode": "min", "factor": 0.5, "patience_frac": 0.0, "threshold": 0.5}
MAX: dict[str, Any] = {"mode": "max", "factor": 0.3, "patience_frac": 0.1, "threshold": 0.2}


def plateau_min(o: Optimizer) -> ReduceLROnPlateau:
    return ReduceLROnPlateau(o, "min", factor=0.5, patience=0, threshold=0.5, min_lr=RATE * 1e-4)


def plateau_max(o: Optimizer) -> ReduceLROnPlateau:
    return ReduceLROnPlateau(o, "max", factor=0.3, patience=1, threshold=0.2, min_lr=RATE * 1e-4)


SGD_SPEC = OptimizerSpec("SGD", {"momentum": 0.9})


def engine(
    schedule: Schedule,
    task: Task | None = None,
    *,
    total_steps: int = STEPS,
    evals: int = EVALS,
    seed: int = SEED,
    optimizer: OptimizerSpec = SGD_SPEC,
) -> Curve:
    recipe = Recipe(task or digits(), optimizer, evals)
    (curve,) = train(recipe, [recipe.job(schedule, seed, total_steps)])
    return curve


@dataclass(frozen=True)
class ByHand:
    """A schedule, and the raw torch schedulers that it stands for."""

    name: str
    schedule: Schedule
    scheduling: PerStep | None = None
    plateau: PerEvaluation | None = None

    def __str__(self) -> str:
        return self.name


# fmt: off
RAW = (
    ByHand("Constant", Schedule("Constant", RATE)),
    ByHand("StepLR", Schedule("StepLR", RATE, {"step_frac": 1 / 3, "gamma": 0.1}),
           lambda o: StepLR(o, 30, 0.1)),
    ByHand("CosineAnnealingLR", Schedule("CosineAnnealingLR", RATE, {"final_factor": 0.05}),
           lambda o: CosineAnnealingLR(o, 90, eta_min=0.003125)),
    ByHand("OneCycleLR", Schedule("OneCycleLR", RATE, {"pct_start": 0.2}),
           lambda o: OneCycleLR(o, RATE, total_steps=90, pct_start=0.2, cycle_momentum=False)),
    ByHand("OneCycleLR-momentum", Schedule("OneCycleLR", RATE, {"cycle_momentum": True}),
           lambda o: OneCycleLR(o, RATE, total_steps=90)),
    ByHand("plateau-min", Schedule("ReduceLROnPlateau", RATE, MIN), None, plateau_min),
    ByHand("plateau-max", Schedule("ReduceLROnPlateau", RATE, MAX), None, plateau_max),
    ByHand("plateau-min+StepLR",
           Schedule("ReduceLROnPlateau+StepLR", RATE, {"step_frac": 0.2, "gamma": 0.7} | MIN),
           lambda o: StepLR(o, 18, 0.7), plateau_min),
    ByHand("plateau-max+StepLR",
           Schedule("ReduceLROnPlateau+StepLR", RATE, {"step_frac": 0.5, "gamma": 0.2} | MAX),
           lambda o: StepLR(o, 45, 0.2), plateau_max),
    ByHand("plateau-min+Cosine", Schedule("ReduceLROnPlateau+CosineAnnealingLR", RATE, MIN),
           lambda o: CosineAnnealingLR(o, 90), plateau_min),
    ByHand("plateau-max+Cosine", Schedule("ReduceLROnPlateau+CosineAnnealingLR", RATE, MAX),
           lambda o: CosineAnnealingLR(o, 90), plateau_max),
    ByHand("warm-up+StepLR",  # one of the bodies that torch's SequentialLR leaves alone
           Schedule("StepLR", RATE, {"step_frac": 1 / 3, "gamma": 0.1}, Warmup(0.1)),
           lambda o: SequentialLR(o, [LinearLR(o, 0.01, total_iters=9), StepLR(o, 27, 0.1)], [9])),
)
# fmt: on


@pytest.mark.parametrize("row", RAW, ids=str)
def test_raw_torch_trains_the_same(row: ByHand) -> None:
    assert_same(engine(row.schedule), by_hand(digits(), sgd, row.scheduling, row.plateau))


# Each family with parameters that move its rate within 90 steps, and one row for each metric.
PARAMS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("Constant", {}),
    ("StepLR", {"step_frac": 0.25, "gamma": 0.3}),
    ("MultiStepLR", {"milestones": (0.3, 0.6, 0.8), "gamma": 0.2}),
    ("ConstantLR", {"factor": 0.2, "length_frac": 0.3}),
    ("LinearLR", {}),
    ("ExponentialLR", {}),
    ("PolynomialLR", {"power": 2.0}),
    ("CosineAnnealingLR", {}),
    ("CosineAnnealingWarmRestarts", {"cycles": 3}),
    ("CyclicLR", {"mode": "triangular2", "cycle_momentum": True}),
    ("OneCycleLR", {"three_phase": True}),
    ("ReduceLROnPlateau", MIN),
    ("ReduceLROnPlateau", MAX),
    ("InverseSqrt", {"timescale_frac": 0.1}),
    ("REX", {}),
    ("HoldThenExponential", {"hold_frac": 0.3}),
    ("WarmupStableDecay", {"decay_frac": 0.4}),
    ("CosineTimesExponential", {}),
    ("SWALR", {}),
    ("ReduceLROnPlateau+StepLR", {"step_frac": 0.3} | MIN),
    ("ReduceLROnPlateau+StepLR", {"step_frac": 0.3} | MAX),
    ("ReduceLROnPlateau+CosineAnnealingLR", MIN),
    ("ReduceLROnPlateau+CosineAnnealingLR", MAX),
)


def named(value: object) -> str:
    """Return the name of a row: its family, and the parameters that tell it from the others."""
    if isinstance(value, dict):
        return str(value["mode"]) if "mode" in value else "-".join(value)
    return str(value)


each_family = pytest.mark.parametrize(("family", "params"), PARAMS, ids=named)
each_warmup = pytest.mark.parametrize("warmup", [None, Warmup(0.2)], ids=["bare", "warm-up"])


def test_every_family_has_a_row() -> None:
    assert {name for name, _ in PARAMS} == {family.name for family in FAMILIES}


def trained_by_hand(schedule: Schedule, optimizing: Optimizing) -> list[Row]:
    """Train by hand with what the schedule builds, which the tests of schedules check by itself."""
    built: list[LRScheduler] = []

    def per_step(optimizer: Optimizer) -> LRScheduler:
        built.append(schedule.build(optimizer, STEPS, evals=EVALS))
        return built[0]

    def per_evaluation(optimizer: Optimizer) -> ReduceLROnPlateau:
        return cast(ReduceLROnPlateau, built[0])

    plateau = per_evaluation if schedule.reacts_to_metric else None
    return by_hand(digits(), optimizing, per_step, plateau)


def assert_traced(schedule: Schedule, curve: Curve) -> None:
    """Compare the rates with those of `trace`, which trains nothing; a plateau must have cut."""
    metrics, monitor = None, schedule.monitor
    if monitor is not None:
        metrics = [row.value(monitor) for row in curve.rows]
        better = [2.0**i if monitor == "val_accuracy" else 0.5**i for i in range(EVALS)]
        uncut = schedule.trace(STEPS, metrics=better)
        assert curve.final.lr < uncut[STEPS - 1]
    rates = schedule.trace(STEPS, metrics=metrics)
    assert [row.lr for row in curve.rows] == [rates[row.step - 1] for row in curve.rows]


@each_warmup
@each_family
def test_every_family(family: str, params: dict[str, Any], warmup: Warmup | None) -> None:
    schedule = Schedule(family, RATE, params, warmup)
    curve = engine(schedule)
    assert len(curve.rows) == EVALS
    assert_same(curve, trained_by_hand(schedule, sgd))
    assert_traced(schedule, curve)


def adamw(params: list[nn.Parameter]) -> Optimizer:
    return AdamW(params, lr=1.0, betas=(0.8, 0.99), weight_decay=0.1)


@each_warmup
@pytest.mark.parametrize(
    ("family", "params"),
    [
        ("CosineAnnealingLR", {}),
        ("OneCycleLR", {"cycle_momentum": True}),  # which moves beta1
        ("ReduceLROnPlateau", MIN),
        ("ReduceLROnPlateau+StepLR", MAX),
    ],
    ids=named,
)
def test_adamw(family: str, params: dict[str, Any], warmup: Warmup | None) -> None:
    schedule = Schedule(family, 0.01, params, warmup)
    spec = OptimizerSpec("AdamW", {"betas": [0.8, 0.99], "weight_decay": 0.1})
    curve = engine(schedule, optimizer=spec)
    assert_same(curve, trained_by_hand(schedule, adamw))
    assert_traced(schedule, curve)


NESTEROV = {"momentum": 0.8, "nesterov": True, "weight_decay": 0.01}


@pytest.mark.parametrize(
    ("model", "total_steps", "evals", "seed"),
    [("mlp", 100, 7, 0), ("mlp", 5, 5, 1), ("mlp", 40, 1, 2), ("cnn", 30, 4, 3)],
)
def test_other_models_horizons_and_seeds(
    model: str, total_steps: int, evals: int, seed: int
) -> None:
    """Evaluations may lie unevenly (100 steps, 7 evaluations), at each step, or at the last."""
    schedule = Schedule("CosineAnnealingLR", RATE)
    curve = engine(
        schedule,
        digits(model),
        total_steps=total_steps,
        evals=evals,
        seed=seed,
        optimizer=OptimizerSpec("SGD", NESTEROV),
    )
    hand = by_hand(
        digits(model),
        lambda params: SGD(params, lr=RATE, momentum=0.8, nesterov=True, weight_decay=0.01),
        lambda o: CosineAnnealingLR(o, total_steps),
        total_steps=total_steps,
        evals=evals,
        seed=seed,
    )
    assert_same(curve, hand)


# fmt: off
EPOCHS = (  # 18 steps an epoch: 90 steps are five epochs, 100 steps five and a piece of the sixth
    (90, Schedule("StepLR", RATE, {"step_frac": 0.4, "gamma": 0.1}, step_unit="epoch"),
     lambda o: StepLR(o, 2, 0.1), None),
    (100, Schedule("CosineAnnealingLR", RATE, step_unit="epoch"),
     lambda o: CosineAnnealingLR(o, 6), None),
    (100, Schedule("OneCycleLR", RATE, {"pct_start": 0.5}, step_unit="epoch"),
     lambda o: OneCycleLR(o, RATE, total_steps=6, pct_start=0.5, cycle_momentum=False), None),
    (90, Schedule("ReduceLROnPlateau+StepLR", RATE, {"step_frac": 0.2, "gamma": 0.7} | MIN,
                  step_unit="epoch"), lambda o: StepLR(o, 1, 0.7), plateau_min),
)
# fmt: on


@pytest.mark.parametrize(("total_steps", "schedule", "scheduling", "plateau"), EPOCHS)
def test_a_schedule_that_steps_once_an_epoch(
    total_steps: int,
    schedule: Schedule,
    scheduling: Callable[[Optimizer], LRScheduler],
    plateau: PerEvaluation | None,
) -> None:
    curve = engine(schedule, total_steps=total_steps)
    hand = by_hand(
        digits(),
        sgd,
        scheduling,
        plateau,
        total_steps=total_steps,
        steps_per_schedule_step=18,
    )
    assert_same(curve, hand)
    if plateau is None:
        rates = schedule.trace(-(-total_steps // 18))
        assert [row.lr for row in curve.rows] == [rates[(row.step - 1) // 18] for row in curve.rows]


def test_the_loop_by_hand_learns() -> None:
    """Rates that agree mean little where nothing is learnt."""
    rows = recorded(engine(Schedule("CosineAnnealingLR", RATE)))
    assert rows[-1].val_loss < 0.3 * rows[0].val_loss
    assert rows[-1].val_accuracy > 0.9
