"""Models with buffers, frozen and tied weights: the fused engine equals loops written by hand."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from fused_loops import jobs_of, recipe_of
from real_models import EVALS, MODELS, STEPS, Seen, by_hand, task_of

from schedsearch.schedules.schedule import Schedule
from schedsearch.tasks.task import Task
from schedsearch.training.curve import Curve, Evaluation
from schedsearch.training.fused.flat_model import Template
from schedsearch.training.fused.layout import Layout
from schedsearch.training.fused.refusal import why_not_fused
from schedsearch.training.fused.stack import Lane, Stack
from schedsearch.training.fused.train import train_fused
from schedsearch.training.optimizers import OptimizerSpec
from schedsearch.training.recipe import Recipe
from schedsearch.training.reference import train

SGD = OptimizerSpec("SGD", {"momentum": 0.9, "weight_decay": 1e-3})
RATES = (0.05, 1e6, 0.02, 0.03, 1e6)  # two diverge, and the others move together
SEEDS = (3, 3, 4, 5, 5)
TOLERANCE = 1e-6  # relative


def fused(recipe: Recipe, seeds: Sequence[int]) -> list[Curve]:
    """Train in two lanes, in blocks of two that are filled up."""
    jobs = jobs_of(recipe, [Schedule("CosineAnnealingLR", rate) for rate in RATES], STEPS, seeds)
    lanes = [Lane(Template(recipe)) for _ in range(2)]
    got = train_fused(recipe, jobs, lanes=lanes, block=2, fill=True)
    for curve, want in zip(got, train(recipe, jobs), strict=True):
        assert [row.lr for row in curve.rows] == [row.lr for row in want.rows]
        assert curve.diverged == want.diverged
        if not curve.diverged:
            assert_like(curve, want.rows)
    return got


def assert_like(curve: Curve, hand: Sequence[Evaluation | Seen]) -> None:
    """Compare what is recorded: in float32, although the models compute in float64."""
    assert [row.step for row in curve.rows] == [row.step for row in hand]
    for name in ("train_loss", "val_loss"):
        want = [getattr(row, name) for row in hand]
        assert [getattr(row, name) for row in curve.rows] == pytest.approx(want, rel=TOLERANCE)


def assert_by_hand(recipe: Recipe, seeds: Sequence[int] = SEEDS) -> None:
    task = recipe.task
    for curve, rate, seed in zip(fused(recipe, seeds), RATES, seeds, strict=True):
        if rate > 1:
            assert curve.diverged
            continue
        hand = by_hand(
            task,
            lambda model, lr: torch.optim.SGD(
                model.parameters(), lr=lr, momentum=0.9, weight_decay=1e-3
            ),
            rate,
            seed,
        )
        assert_like(curve, hand)


def recipe_for(task: Task) -> Recipe:
    return recipe_of(task, SGD, evals=EVALS)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("seeds", [(3,) * 5, SEEDS], ids=["shared batches", "own batches"])
def test_a_model_is_trained_like_by_hand(model: str, seeds: Sequence[int]) -> None:
    recipe = recipe_for(task_of(MODELS[model]))
    assert why_not_fused(recipe) is None
    assert_by_hand(recipe, seeds)


def test_what_all_jobs_share_is_not_copied() -> None:
    frozen = Template(recipe_for(task_of(MODELS["a frozen layer"]))).weights(0)
    assert set(frozen.others) == {"1.weight", "1.bias"}, "a bias of zeros is shared"
    assert [len(flat) for flat in frozen.params] == [120]
    assert not Template(recipe_for(task_of(MODELS["tied layers"]))).weights(0).others


def test_statistics_that_are_not_written_back_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Layout.__init__

    def planted(self: Layout, *args: Any) -> None:
        made(self, *args)
        self.changing = ()

    monkeypatch.setattr(Layout, "__init__", planted)
    with pytest.raises(AssertionError):
        assert_by_hand(recipe_for(task_of(MODELS["a buffer that is replaced"])))


def test_statistics_that_stay_behind_when_jobs_move_are_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keep = Stack.keep

    def planted(self: Stack, rows: Sequence[int]) -> None:
        keep(self, rows)
        for block in self.blocks:
            block.others["2.running_mean"].copy_(block.others["2.running_mean"].flip(0))

    monkeypatch.setattr(Stack, "keep", planted)
    with pytest.raises(AssertionError):
        assert_by_hand(recipe_for(task_of(MODELS["batch norm"])))
