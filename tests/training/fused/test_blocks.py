"""Blocks and lanes: jobs are laid out, freed and trained like one stack."""

import dataclasses
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from fused_loops import (
    OPTIMIZERS,
    assert_same_curves,
    in_double,
    jobs_of,
    recipe_of,
)
from torch import nn

from schedsearch.schedules.schedule import Schedule
from schedsearch.tasks.registry import load_task
from schedsearch.tasks.task import Task
from schedsearch.training.choice import prepared
from schedsearch.training.choice.probe import choose_trainer
from schedsearch.training.choice.trainer import Trainer
from schedsearch.training.choice.way import EngineWish, Way
from schedsearch.training.curve import Curve
from schedsearch.training.fused.batches import trial_taker
from schedsearch.training.fused.block import Block
from schedsearch.training.fused.flat_model import Template
from schedsearch.training.fused.stack import Lane, Stack
from schedsearch.training.fused.train import train_fused
from schedsearch.training.recipe import Job, Recipe
from schedsearch.training.reference import train

needs_a_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("g++", "clang++", "c++"))),
    reason="torch.compile needs a C++ compiler",
)
SGD = OPTIMIZERS[0]


@pytest.fixture(scope="module")
def digits() -> Task:
    return load_task("digits")


@needs_a_compiler
@pytest.mark.parametrize(
    ("seeds", "stack"), [(0, 8), ([0, 1, 2, 0, 1, 2, 3], 8), ([0, 0, 0, 0, 1, 1, 1], 4)]
)
def test_lanes_train_like_the_reference_engine(
    digits: Task, seeds: int | list[int], stack: int
) -> None:
    """Two threads share compiled blocks; with shared batches, and own ones, of one seed a stack."""
    schedules = [Schedule("StepLR", rate) for rate in (0.03, 0.02, 1e6, 0.01, 0.025, 0.015, 0.01)]
    recipe = recipe_of(digits)
    jobs = jobs_of(recipe, schedules, 90, seeds)
    way = Way("fused", stack=stack, block=2, compiled=True, own_batches=seeds != 0, lanes=2)
    got = Trainer(way, recipe).train(jobs)
    assert_same_curves(got, train(recipe, jobs))


def test_a_few_jobs_are_trained_alone_where_that_is_faster(
    digits: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedules = [Schedule("StepLR", rate) for rate in (0.03, 0.02, 0.01, 0.025, 0.015)]
    recipe = recipe_of(digits)
    jobs = jobs_of(recipe, schedules, 60)
    heard: list[int] = []
    alone: list[Job] = []

    def spied(recipe: Recipe, jobs: Sequence[Job], **told: Any) -> list[Curve]:
        alone.extend(jobs)
        return train(recipe, jobs, **told)

    monkeypatch.setattr(prepared, "train", spied)

    way = Way("fused", stack=4, block=2, block_seconds=3.0, alone_seconds=1.0)
    trainer = Trainer(way, recipe)
    got = trainer.train(jobs, on_end=lambda ended: heard.append(jobs.index(ended.job)))
    assert_same_curves(got, train(recipe, jobs))
    assert heard == [0, 1, 2, 3, 4]
    assert alone == jobs[4:]


def test_blocks_hold_and_free_jobs_like_one_stack(digits: Task) -> None:
    task = in_double(digits)
    schedules = [Schedule("StepLR", rate) for rate in (0.03, 1e6, 0.02, 1e6, 0.01, 0.025, 0.015)]
    recipe = recipe_of(task)
    jobs = jobs_of(recipe, schedules, seed=range(7))
    whole = train_fused(recipe, jobs)
    for block in (1, 2, 3, 16):
        for lanes, fill in ((1, False), (1, True), (2, False), (3, True)):
            got = train_fused(
                recipe,
                jobs,
                block=block,
                lanes=[Lane(Template(recipe)) for _ in range(lanes)],
                fill=fill,
            )
            assert_same_curves(got, whole, rel=1e-12)


def test_a_block_is_free_as_soon_as_the_others_hold_all_jobs(digits: Task) -> None:
    stack = Stack([Lane(Template(recipe_of(digits)))], [0] * 7, block=3, fill=True)
    assert (len(stack), len(stack.blocks), len(stack.filled)) == (7, 3, 9)
    assert not stack.frees(7)
    assert stack.frees(6)
    stack.keep([0, 2, 4, 6])
    assert (len(stack), stack.filled) == (4, [0, 1, 2, 3, 0, 1])
    stack.keep([1])
    assert (len(stack), len(stack.blocks)) == (1, 1)
    assert Stack([Lane(Template(recipe_of(digits)))], [0] * 7, block=3).filled == list(range(7))


def test_a_model_that_draws_without_a_layer_for_it_keeps_to_one_lane(digits: Task) -> None:
    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(64, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.head(nn.functional.dropout(x.flatten(1), 0.5, self.training))
            return out

    task = dataclasses.replace(digits, make_model=Noisy)
    assert Template(recipe_of(task)).draws
    assert not Template(recipe_of(digits)).draws
    recipe = recipe_of(task)
    jobs = jobs_of(recipe, [Schedule("Constant", 0.01)] * 4, 60)
    way = Way("fused", stack=4, block=2)
    losses = [
        Trainer(replace(way, lanes=lanes), recipe).train(jobs)[3].final.val_loss
        for lanes in (1, 2, 2)
    ]
    assert losses[0] == losses[1] == losses[2]
    for asked in ("auto", "fused"):
        trainer = choose_trainer(recipe, EngineWish(asked), waves=[(8, 1)], steps=10**5)
        assert trainer.way.lanes == 1


def test_a_lane_that_fails_stops_the_others(digits: Task) -> None:
    """So does Ctrl-C: nobody waits until every block has come to its next evaluation."""
    made: list[int] = []

    def fail(block: Block, *batch: object) -> torch.Tensor:
        raise RuntimeError("no memory left")

    def slow(block: Block, *batch: object) -> torch.Tensor:
        made.append(1)
        time.sleep(1e-3)
        return torch.zeros(1)

    lanes = [Lane(Template(recipe_of(digits)), slow), Lane(Template(recipe_of(digits)), fail)]
    stack = Stack(lanes, [0, 0], block=1)
    batches = [trial_taker(digits, 2, own=False)] * 20_000
    with pytest.raises(RuntimeError, match="no memory left"):
        stack.train(batches, torch.zeros(len(batches), 2, 1))
    assert len(made) < len(batches)
