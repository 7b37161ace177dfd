"""The fused engine equals plain torch loops, one for each job; and planted bugs are seen.

Tolerances: in float64 1e-10 relative to the largest weight, far above 300 steps of rounding (1e-16
each) and far below any wrong rate; in float32 1e-4. Rates are compared bit for bit. The jobs are
stable ones: at the edge of stability a rounding difference grows without bound in any engine.
"""

import dataclasses
from collections.abc import Callable

import pytest
import torch
from fused_loops import (
    OPTIMIZERS,
    STEPS,
    all_schedules,
    assert_equal,
    assert_same_curves,
    in_double,
    jobs_of,
    peak,
    recipe_of,
)
from torch import Tensor, nn

from schedsearch.schedules.schedule import Schedule, Warmup
from schedsearch.tasks.registry import load_task
from schedsearch.tasks.task import Task
from schedsearch.training.fused.block import Block
from schedsearch.training.fused.refusal import FUSABLE_OPTIMIZERS, why_not_fused
from schedsearch.training.fused.train import train_fused
from schedsearch.training.optimizers import OptimizerSpec
from schedsearch.training.reference import fit, train


@pytest.fixture(scope="module")
def digits() -> Task:
    return load_task("digits")


@pytest.fixture(scope="module")
def double(digits: Task) -> Task:
    return in_double(digits)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: f"{o.name}-{'-'.join(o.args)}")
def test_every_family_equals_its_plain_loop_in_float64(
    double: Task, optimizer: OptimizerSpec
) -> None:
    schedules = all_schedules(peak(optimizer))
    if optimizer is not OPTIMIZERS[0]:
        schedules = schedules[:: len(schedules) // 8]
    assert_equal(double, schedules, optimizer)


def test_every_fusable_optimizer_is_tested() -> None:
    assert {o.name for o in OPTIMIZERS} == set(FUSABLE_OPTIMIZERS)


@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_equal_in_float32(model: str) -> None:
    task = load_task("digits", model=model)
    schedules = [Schedule("StepLR", 0.02), Schedule("CosineAnnealingLR", 0.01, {}, Warmup(0.1))]
    assert_equal(task, schedules, OPTIMIZERS[0], steps=STEPS if model == "mlp" else 60)


def shared_momentum(stack: Block, rates: Tensor) -> Tensor:
    buffer = stack.states[0].get("momentum_buffer")
    if buffer is not None:
        buffer.copy_(buffer.mean(dim=0, keepdim=True).expand_as(buffer))
    return rates


PLANTED: dict[str, tuple[Callable[[Block, Tensor], Tensor], int]] = {
    "the rates come one step late": (lambda stack, rates: rates, 1),
    "two jobs are swapped": (lambda stack, rates: rates.flip(0), 0),
    "the momentum is shared": (shared_momentum, 0),
    "the update is scaled twice": (lambda stack, rates: rates * rates, 0),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_planted_bugs_are_seen(double: Task, bug: str) -> None:
    plant, shift = PLANTED[bug]
    schedules = [Schedule("StepLR", 0.03), Schedule("CosineAnnealingLR", 0.02)]
    optimizer = OPTIMIZERS[0]
    assert_equal(double, schedules, optimizer, steps=150)
    with pytest.raises(AssertionError):
        assert_equal(double, schedules, optimizer, steps=150, plant=plant, shift=shift)


def test_curves_equal_the_reference_engines_whatever_the_stack(digits: Task) -> None:
    schedules = [s for s in all_schedules(0.03) if s.warmup is None]
    recipe = recipe_of(digits)
    jobs = jobs_of(recipe, schedules)
    want = train(recipe, jobs)
    for stack in (1, 4, 64):
        assert_same_curves(train_fused(recipe, jobs, stack=stack), want)


def test_different_seeds_and_epochs(digits: Task) -> None:
    schedules = [
        Schedule("CosineAnnealingLR", 0.03, {}, step_unit="epoch"),
        Schedule("ReduceLROnPlateau", 0.03, {"patience_frac": 0.1}),
        Schedule("StepLR", 0.03),
    ]
    recipe = recipe_of(digits)
    jobs = jobs_of(recipe, schedules, seed=[5, 6, 5])
    got = train_fused(recipe, jobs, stack=3)
    assert_same_curves(got, train(recipe, jobs))
    assert got[0].rows[0].train_loss != got[1].rows[0].train_loss


def test_a_job_that_ends_leaves_the_others_as_they_were(double: Task) -> None:
    good = [Schedule("StepLR", 0.03), Schedule("ExponentialLR", 0.02)]
    both = [good[0], Schedule("Constant", 1e6), good[1], Schedule("LinearLR", 0.02)]

    recipe = recipe_of(double)
    jobs = jobs_of(recipe, both)
    ended: list[int] = []
    got = train_fused(
        recipe,
        jobs,
        on_eval=lambda job, row: job is jobs[3] and row.step >= 36,
        on_end=lambda one: ended.append(jobs.index(one.job)),
    )
    want = train_fused(recipe, jobs_of(recipe, good))
    assert [c.diverged for c in got] == [False, True, False, False]
    assert [c.stopped for c in got] == [False, False, False, True]
    assert len(got[3].rows) == 3
    assert ended == [1, 3, 0, 2]
    assert_same_curves([got[0], got[2]], want, rel=1e-12)


class Noisy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Dropout(0.5))
        self.head = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.layers(x))
        return out


def test_dropout_is_each_jobs_own_and_seeded(digits: Task) -> None:
    task = dataclasses.replace(digits, make_model=Noisy)
    assert why_not_fused(recipe_of(task)) is None
    twins = [Schedule("Constant", 0.01), Schedule("Constant", 0.01), Schedule("Constant", 1e6)]
    torch.manual_seed(1)
    recipe = recipe_of(task)
    jobs = jobs_of(recipe, twins)
    ended: list[int] = []
    first = train_fused(recipe, jobs, on_end=lambda one: ended.append(jobs.index(one.job)))
    assert ended == [2, 0, 1]
    assert first[2].diverged
    torch.manual_seed(2)
    again = train_fused(recipe, jobs)
    assert [c.final.val_loss for c in first[:2]] == [c.final.val_loss for c in again[:2]]
    assert first[0].final.val_loss != first[1].final.val_loss
    seeds = jobs_of(recipe, [twins[0]] * 4, seed=[0, 1, 2, 3])
    alone = [fit(recipe, job)[1].final.val_loss for job in seeds]
    fused = train_fused(recipe, seeds)
    spread = max(alone) - min(alone)
    assert abs(sum(c.final.val_loss for c in fused) / 4 - sum(alone) / 4) < max(spread, 0.1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_equal_on_cuda() -> None:
    task = in_double(load_task("digits")).to(torch.device("cuda"))
    schedules = [Schedule("StepLR", 0.03), Schedule("ReduceLROnPlateau", 0.03)]
    recipe = recipe_of(task)
    jobs = jobs_of(recipe, schedules)
    assert_same_curves(train_fused(recipe, jobs), train(recipe, jobs), rel=1e-8)
