"""The reference engine as its callers see it: how a job ends, and what it does not depend on."""

import math
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from engine_runs import COSINE, PLATEAU, STEP, STEPS, curves_of, recipe_of, rows
from hand_loop import EVALS, RATE, SEED, assert_same, by_hand, digits, recorded, validate
from torch.optim import SGD
from torch.optim.lr_scheduler import StepLR
from user_parts import noisy_net

from schedsearch import Curve, Schedule, Task
from schedsearch.seeds import derive_seed
from schedsearch.training.curve import Evaluation
from schedsearch.training.reference import fit

# ---- how a job ends


@pytest.mark.parametrize(
    ("peak_lr", "finite"), [(30.0, True), (1e30, False)], ids=["far-up", "not-finite"]
)
@pytest.mark.parametrize("family", ["Constant", "ReduceLROnPlateau", "OneCycleLR"])
def test_a_job_that_diverges_ends_early(family: str, peak_lr: float, finite: bool) -> None:
    (curve,) = curves_of([Schedule(family, peak_lr)])
    assert curve.diverged
    assert not curve.stopped
    assert len(curve.rows) < EVALS
    assert curve.final.finite == finite
    limit = recipe_of().start(SEED).limit
    above = [row.train_loss > limit for row in curve.rows]
    assert not finite or above == [*[False] * (len(above) - 3), True, True, True]
    assert all(row.finite for row in curve.rows[:-1])


def test_the_initial_loss_is_that_of_the_untrained_model() -> None:
    (curve,) = curves_of([Schedule("Constant", 1e-9)])
    assert curve.initial_loss == pytest.approx(validate(digits().model(SEED), digits())[0])
    assert curve.final.val_loss == pytest.approx(curve.initial_loss, rel=1e-4)
    assert not curve.diverged


def test_how_far_up_is_given() -> None:
    """A rate that throws the loss up, but not to infinity, is told apart by the factor alone."""
    tossed = [Schedule("Constant", 30.0)]
    (patient,) = curves_of(tossed, diverge_factor=math.inf, total_steps=4, evals=4)
    (strict,) = curves_of(tossed, diverge_factor=1.001, total_steps=4, evals=4)
    assert not patient.diverged
    assert len(patient.rows) == 4
    assert strict.diverged
    assert recorded(strict) == recorded(patient)[: len(strict.rows)]


def test_the_caller_stops_a_job() -> None:
    told: list[tuple[int, int]] = []

    def on_eval(index: int, row: Evaluation) -> bool:
        told.append((index, row.step))
        return index == 1 and row.step >= 12

    curves = curves_of([COSINE, STEP, PLATEAU], on_eval=on_eval)
    assert [curve.stopped for curve in curves] == [False, True, False]
    assert [len(curve.rows) for curve in curves] == [EVALS, 3, EVALS]
    assert told == [(i, row.step) for i, curve in enumerate(curves) for row in curve.rows]
    whole = curves_of([COSINE, STEP, PLATEAU])
    assert not any(curve.diverged or curve.stopped for curve in whole)
    assert [recorded(w)[: len(c.rows)] for w, c in zip(whole, curves, strict=True)] == rows(curves)


def test_the_caller_is_told_of_the_end_of_each_job() -> None:
    """It is told in order, before the next job begins, and also of one that diverged."""
    told: list[tuple[str, int]] = []
    ended: list[Curve] = []

    def on_eval(index: int, row: Evaluation) -> bool:
        told.append(("eval", index))
        return index == 2

    def on_end(index: int, curve: Curve) -> None:
        told.append(("end", index))
        ended.append(curve)

    curves = curves_of(
        [COSINE, Schedule("Constant", 1e30), STEP], on_eval=on_eval, on_end=on_end, evals=2
    )
    assert [entry for entry in told if entry[0] == "end"] == [("end", 0), ("end", 1), ("end", 2)]
    assert [index for _, index in told] == sorted(index for _, index in told)
    assert all(one is other for one, other in zip(ended, curves, strict=True))
    assert [(c.diverged, c.stopped) for c in curves] == [
        (False, False),
        (True, False),
        (False, True),
    ]


def test_seconds_grow() -> None:
    (curve,) = curves_of([COSINE])
    seconds = [row.seconds for row in curve.rows]
    assert seconds == sorted(seconds)
    assert seconds[0] > 0


def test_fit_gives_the_model_that_the_curve_is_of() -> None:
    recipe = recipe_of(evals=2)
    model, curve = fit(recipe, recipe.job(COSINE, 3, total_steps=20))
    assert validate(model, digits())[0] == pytest.approx(curve.final.val_loss, rel=1e-6)
    assert model.training


# ---- what a job depends on, and what not


def noisy() -> Task:
    return replace(digits(), make_model=noisy_net, model_name="noisy")


each_task = pytest.mark.parametrize("task", [digits(), noisy()], ids=lambda task: task.model_name)


@each_task
def test_jobs_do_not_depend_on_their_neighbours(task: Task) -> None:
    schedules = [COSINE, STEP, Schedule("Constant", 1e30), PLATEAU]
    together = rows(curves_of(schedules, task))
    apart = [rows(curves_of([schedule], task))[0] for schedule in schedules]
    assert str(together) == str(apart)  # as text: what is not a number equals nothing
    backwards = rows(curves_of(schedules[::-1], task))
    assert str(backwards[::-1]) == str(together)


@each_task
def test_jobs_do_not_depend_on_global_random_state(task: Task) -> None:
    seen = []
    for seed in (0, 1234):
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        seen.append(rows(curves_of([COSINE], task)))
    assert seen[0] == seen[1]


@each_task
def test_global_random_state_is_left_alone(task: Task) -> None:
    torch.manual_seed(99)
    before = torch.get_rng_state(), random.getstate(), str(np.random.get_state())
    curves_of([COSINE, Schedule("Constant", 1e30)], task)
    task.model(0)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (random.getstate(), str(np.random.get_state())) == before[1:]
    assert torch.initial_seed() == 99


def test_a_job_on_the_cpu_leaves_a_gpus_random_state_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`torch.manual_seed` seeds every device, and `fork_rng(devices=[])` mends the CPU alone."""
    seeded: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    digits().model(0)
    curves_of([COSINE])
    assert not seeded


def test_each_job_has_its_own_seed() -> None:
    both = curves_of([COSINE, COSINE], seed=[1, 2])
    assert rows(both) == rows([*curves_of([COSINE], seed=1), *curves_of([COSINE], seed=2)])
    assert both[0].initial_loss != both[1].initial_loss
    one, other = curves_of([COSINE, COSINE], seed=1)  # common random numbers
    assert recorded(one) == recorded(other)


def test_a_model_that_draws() -> None:
    """Dropout draws from the job's own seed, only while it trains; so by hand."""
    (curve,) = curves_of([STEP], noisy())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(SEED, "training"))
        hand = by_hand(
            noisy(),
            lambda params: SGD(params, lr=RATE, momentum=0.9),
            lambda o: StepLR(o, 12, 0.1),
            total_steps=STEPS,
        )
    assert_same(curve, hand)
    assert rows(curves_of([STEP], noisy(), seed=SEED + 1))[0] != recorded(curve)
