"""What is fused, what is not, and how a way of training is chosen."""

import dataclasses
import types
from collections.abc import Callable
from typing import Any

import psutil
import pytest
import torch
from fused_loops import OPTIMIZERS, assert_same_curves, jobs_of, recipe_of
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from schedsearch.schedules.schedule import Schedule
from schedsearch.tasks.registry import load_task
from schedsearch.tasks.split import Batch, Split
from schedsearch.tasks.stream import stream_of
from schedsearch.tasks.task import Task
from schedsearch.training.choice import blocks
from schedsearch.training.choice.probe import choose_trainer
from schedsearch.training.choice.trainer import Trainer
from schedsearch.training.choice.way import EngineWish, Way
from schedsearch.training.device import threads
from schedsearch.training.fused.flat_model import Template
from schedsearch.training.fused.gradients import Gradients
from schedsearch.training.fused.layout import Weights
from schedsearch.training.fused.refusal import why_not_fused
from schedsearch.training.optimizers import OptimizerSpec
from schedsearch.training.reference import train


@pytest.fixture(scope="module")
def digits() -> Task:
    return load_task("digits")


def choose(task: Task, engine: str = "auto", stack: int | None = None, **changes: Any) -> Way:
    """Choose for SGD on one thread, where 10,000 steps are left to be trained."""
    settings: dict[str, Any] = {"waves": [(16, 1)], "steps": 10**4}
    wish = EngineWish(engine, stack, threads=1)
    return choose_trainer(recipe_of(task), wish, **(settings | changes)).way


def with_model(task: Task, make: Callable[[], nn.Module]) -> Task:
    return dataclasses.replace(task, make_model=make)


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(x.flatten(1))
        return out if out.sum() > 0 else -out


REFUSED: dict[str, tuple[Callable[[], nn.Module] | None, OptimizerSpec, str]] = {
    "a batch norm that reads its count": (
        lambda: nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64, momentum=None), nn.Linear(64, 10)),
        OPTIMIZERS[0],
        "vmap refuses",
    ),
    "a branch on a value": (Branches, OPTIMIZERS[0], "vmap refuses"),
    "RMSprop": (None, OptimizerSpec("RMSprop", {}), "RMSprop"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_fused_is_trained_by_the_reference_engine_which_says_why(
    digits: Task, case: str
) -> None:
    make, optimizer, word = REFUSED[case]
    task = digits if make is None else with_model(digits, make)
    refusal = why_not_fused(recipe_of(task, optimizer))
    assert refusal is not None
    assert word in refusal
    recipe = recipe_of(task, optimizer, evals=1)
    for asked in ("auto", "fused"):
        wish = EngineWish(asked, threads=1)
        trainer = choose_trainer(recipe, wish, waves=[(8, 1)], steps=10**6)
        assert trainer.way.kind == "reference"
        assert refusal in trainer.way.reason
    jobs = jobs_of(recipe, [Schedule("Constant", 1e-3), Schedule("StepLR", 1e-3)], 20)
    assert_same_curves(trainer.train(jobs), train(recipe, jobs), rel=0)


def in_half(digits: Task) -> Task:
    """Return the task in bfloat16: a step at a rate of 1 would be rounded before it is scaled."""
    assert isinstance(digits.train, Split)
    split = digits.train.map(lambda t: t.bfloat16() if t.is_floating_point() else t)
    make = digits.make_model
    return dataclasses.replace(
        digits, train=split, validation=split, make_model=lambda: make().bfloat16()
    )


def counting(digits: Task) -> Task:
    class Counting(nn.Linear):
        calls: Tensor

        def __init__(self) -> None:
            super().__init__(64, 10)
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, input: Tensor) -> Tensor:
            if not self.training:
                self.calls += 1
            return super().forward(input.flatten(1))

    return with_model(digits, Counting)


def streamed(digits: Task) -> Task:
    assert isinstance(digits.train, Split)
    rows = TensorDataset(digits.train.inputs, digits.train.take(slice(None)).targets)
    return dataclasses.replace(digits, train=stream_of(rows, 64, shuffles=True))


def frozen(digits: Task) -> Task:
    return with_model(digits, lambda: nn.Linear(64, 10).requires_grad_(False))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (in_half, "parameters are bfloat16"),
        (counting, "an evaluation changes the model's buffer calls"),
        (streamed, "read by a DataLoader"),
        (frozen, "no parameter that is trained"),
    ],
)
def test_what_would_go_wrong_later_is_refused_before(
    digits: Task, make: Callable[[Task], Task], words: str
) -> None:
    refusal = why_not_fused(recipe_of(make(digits)))
    assert refusal is not None
    assert words in refusal


def test_gradients_that_are_wrong_together_are_refused(
    digits: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted bug: what torch gives for two models is not what it gives for each."""
    gradients = Template.gradients

    def planted(self: Template, **settings: bool) -> Gradients:
        right = gradients(self, **settings)

        def wrong(weights: Weights, batch: Batch) -> tuple[tuple[Tensor, ...], Tensor]:
            grads, losses = right(weights, batch)
            return tuple(grad.flip(0) for grad in grads), losses

        return wrong

    monkeypatch.setattr(Template, "gradients", planted)
    assert "two models together" in (why_not_fused(recipe_of(digits)) or "")


def test_a_schedule_that_moves_the_momentum_is_trained_alone(digits: Task) -> None:
    moving = Schedule("OneCycleLR", 0.03, {"cycle_momentum": True})
    schedules = [Schedule("StepLR", 0.03), moving, Schedule("Constant", 0.03)]
    recipe = recipe_of(digits)
    jobs = jobs_of(recipe, schedules)
    heard: list[int] = []
    trainer = Trainer(Way("fused", stack=8), recipe)
    got = trainer.train(jobs, on_end=lambda ended: heard.append(jobs.index(ended.job)))
    want = train(recipe, jobs)
    assert_same_curves(got, want)
    assert sorted(heard) == [0, 1, 2]
    assert [r.val_loss for r in got[1].rows] == [r.val_loss for r in want[1].rows]


def test_the_choice_is_by_measurement_and_can_be_overridden(digits: Task) -> None:
    free = choose(digits)
    assert free.kind in ("reference", "fused")
    assert "ms a step and job" in free.reason
    forced = choose(digits, "fused", stack=5)
    assert (forced.kind, forced.stack, forced.threads) == ("fused", 5, 1)
    assert choose(digits, "reference").kind == "reference"


def test_a_stack_that_memory_cannot_hold_is_reduced_and_says_so(
    digits: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert blocks.most_that_fit(Template(recipe_of(digits))) > 100
    monkeypatch.setattr(blocks, "most_that_fit", lambda template: 3)
    way = choose(digits, "fused", stack=64, waves=[(64, 1)])
    assert way.stack == 3
    assert "memory holds 3 at once, not 64" in way.reason


@pytest.mark.parametrize("most", [1, 7])
def test_a_stack_takes_no_more_than_half_of_the_free_memory(
    digits: Task, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    free = int(2.5 * most * Template(recipe_of(digits)).job_bytes())
    monkeypatch.setattr(psutil, "virtual_memory", lambda: types.SimpleNamespace(available=free))
    way = choose(digits, "fused", stack=64, waves=[(64, 1)])
    assert most <= way.stack <= 1.25 * most
    assert way.stack * Template(recipe_of(digits)).job_bytes() <= free / 2
    assert f"memory holds {way.stack} at once, not 64" in way.reason


def test_a_trainer_trains_with_its_threads_and_leaves_them_as_they_were(digits: Task) -> None:
    seen: list[int] = []
    recipe = recipe_of(digits, evals=1)
    trainer = Trainer(Way("fused", stack=2, threads=2, alone_threads=1), recipe)
    schedules = [Schedule("Constant", 0.01), Schedule("OneCycleLR", 0.01, {"cycle_momentum": True})]
    with threads(1):
        jobs = jobs_of(recipe, schedules, 20)
        trainer.train(jobs, on_end=lambda ended: seen.append(torch.get_num_threads()))
        assert torch.get_num_threads() == 1
    assert seen == [2, 1]


def test_a_stack_is_no_larger_than_what_the_study_asks_at_once(digits: Task) -> None:
    way = choose(digits, "fused", stack=10**6, waves=[(4, 1)])
    assert way.stack == 4
    assert "this study asks 4 at once, not 1000000" in way.reason
