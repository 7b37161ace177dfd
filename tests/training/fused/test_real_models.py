"""Models and recipes of real projects: the fused engine equals loops written by hand."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from fused_loops import jobs_of, recipe_of
from real_models import (
    EVALS,
    MODELS,
    STEPS,
    Optimizing,
    Seen,
    adamw_in_groups,
    by_hand,
    no_decay,
    sgd,
    task_of,
    with_two_inputs,
)
from torch import Tensor

from schedsearch.schedules.schedule import Schedule
from schedsearch.tasks.metrics import Metric, metrics_of
from schedsearch.tasks.split import Batch
from schedsearch.tasks.task import Task
from schedsearch.training.curve import Curve, Evaluation
from schedsearch.training.fused import batches, block
from schedsearch.training.fused.flat_model import Template
from schedsearch.training.fused.layout import Layout
from schedsearch.training.fused.refusal import why_not_fused
from schedsearch.training.fused.stack import Lane, Stack
from schedsearch.training.fused.train import train_fused
from schedsearch.training.optimizers import OptimizerSpec
from schedsearch.training.recipe import Recipe
from schedsearch.training.reference import train

SGD = OptimizerSpec("SGD", {"momentum": 0.9, "weight_decay": 1e-3})
RATES = (0.05, 1e6, 0.02, 0.03, 1e6)  # two are stopped, and the others move together
SEEDS = (3, 3, 4, 5, 5)
TOLERANCE = 1e-6  # relative


def fused(recipe: Recipe, seeds: Sequence[int]) -> list[Curve]:
    """Train in two lanes, in blocks of two that are filled up."""
    jobs = jobs_of(recipe, [Schedule("CosineAnnealingLR", rate) for rate in RATES], STEPS, seeds)
    lanes = [Lane(Template(recipe)) for _ in range(2)]

    def stop(job: Any, row: Evaluation) -> bool:
        return bool(job.schedule.peak_lr > 1)

    got = train_fused(recipe, jobs, on_eval=stop, lanes=lanes, block=2, fill=True)
    for curve, want in zip(got, train(recipe, jobs, on_eval=stop), strict=True):
        if want.final.lr < 1:
            assert [row.lr for row in curve.rows] == [row.lr for row in want.rows]
            assert_like(curve, [seen(row) for row in want.rows])
            for one, other in zip(curve.rows, want.rows, strict=True):
                assert one.values == pytest.approx(other.values, rel=TOLERANCE)
    return got


def assert_like(curve: Curve, hand: Sequence[Seen]) -> None:
    """Compare what is recorded: in float32, although the models compute in float64."""
    for row, want in zip(curve.rows, hand, strict=True):
        assert seen(row) == pytest.approx(want, rel=TOLERANCE, nan_ok=True)


def seen(row: Evaluation) -> Seen:
    return Seen(row.step, row.train_loss, row.val_loss, row.ema.get("loss", math.nan))


def assert_by_hand(
    recipe: Recipe, seeds: Sequence[int] = SEEDS, optimizing: Optimizing = sgd
) -> None:
    settings: dict[str, Any] = {
        name: getattr(recipe, name) for name in ("clip_norm", "accumulate", "ema")
    }
    for curve, rate, seed in zip(fused(recipe, seeds), RATES, seeds, strict=True):
        if rate < 1:
            assert_like(curve, by_hand(recipe.trained_task, optimizing, rate, seed, **settings))


def recipe_for(task: Task, **settings: Any) -> Recipe:
    return dataclasses.replace(recipe_of(task, SGD, evals=EVALS), **settings)


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


CLIPPED = {"clip_norm": 0.5}
SETTINGS: dict[str, dict[str, Any]] = {
    "clipping": CLIPPED,
    "accumulation": {"accumulate": 3},
    "an average": {"ema": 0.8},
    "all of them": CLIPPED | {"accumulate": 2, "ema": 0.9},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_recipe_is_trained_like_by_hand(name: str) -> None:
    recipe = recipe_for(task_of(MODELS["batch norm"]), **SETTINGS[name])
    assert why_not_fused(recipe) is None
    assert_by_hand(recipe)


@pytest.mark.parametrize("settings", [{}, SETTINGS["all of them"]], ids=["plain", "all settings"])
def test_parameter_groups_are_trained_like_by_hand(settings: dict[str, Any]) -> None:
    """Of each group its own weight decay and ratio of rates, by one optimizer."""
    task = dataclasses.replace(task_of(MODELS["batch norm"]), groups=no_decay)
    recipe = recipe_for(task, optimizer=OptimizerSpec("AdamW", {}), **settings)
    assert why_not_fused(recipe) is None
    assert_by_hand(recipe, optimizing=adamw_in_groups)


def noise(batch: Batch) -> Batch:
    return Batch(batch.inputs + 0.3 * torch.randn_like(batch.inputs), batch.targets)


@pytest.mark.parametrize("seeds", [(3,) * 5, SEEDS], ids=["shared batches", "own batches"])
def test_augmented_batches_are_those_of_the_reference_engine(
    seeds: Sequence[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In pieces of a few batches, where they take much memory."""
    monkeypatch.setattr(batches, "_PIECE_BYTES", 20_000)
    recipe = recipe_for(dataclasses.replace(task_of(MODELS["tied layers"]), augment=noise))
    assert why_not_fused(recipe) is None
    assert_by_hand(recipe, seeds)


def test_several_inputs_outputs_and_a_weighted_loss() -> None:
    """The validation loss is that of one pass, although the split is evaluated in pieces."""
    right = Metric(
        "right", "maximize", lambda out, y: (out["logits"].argmax(1) == y["digit"]).sum()
    )
    shown = Metric("shown", "minimize", lambda out, y: out["logits"].max().item())  # not by vmap
    task = dataclasses.replace(with_two_inputs(), metrics=(right, shown))
    recipe = recipe_for(task)
    assert why_not_fused(recipe) is None
    assert_by_hand(recipe)


def test_many_jobs_are_evaluated_at_once_where_that_is_right() -> None:
    def measured(name: str, **changes: Any) -> frozenset[str] | None:
        task = dataclasses.replace(task_of(MODELS[name]), **changes)
        return Template(recipe_for(task)).evaluation.measures

    counted = Metric("counted", "maximize", lambda out, y: float(out.sum()))
    metrics = (*metrics_of(["accuracy", "macro_f1"]), counted)
    assert measured("tied layers", metrics=metrics) == frozenset({"loss", "accuracy", "macro_f1"})
    assert measured("a GRU") is None
    assert measured("convolutions with batch norm") is None


# ---- planted bugs


def assert_seen(recipe: Recipe, optimizing: Optimizing = sgd) -> None:
    with pytest.raises(AssertionError):
        assert_by_hand(recipe, optimizing=optimizing)


def test_statistics_that_are_not_written_back_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Layout.__init__

    def planted(self: Layout, *args: Any) -> None:
        made(self, *args)
        self.changing = ()

    monkeypatch.setattr(Layout, "__init__", planted)
    assert_seen(recipe_for(task_of(MODELS["a buffer that is replaced"])))


def test_statistics_that_stay_behind_when_jobs_move_are_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keep = Stack.keep

    def planted(self: Stack, rows: Sequence[int]) -> None:
        keep(self, rows)
        for each in self.blocks:
            each.others["2.running_mean"].copy_(each.others["2.running_mean"].flip(0))

    monkeypatch.setattr(Stack, "keep", planted)
    assert_seen(recipe_for(task_of(MODELS["batch norm"])))


def clipped_together(grads: Sequence[Tensor], clip_norm: float) -> tuple[Tensor, ...]:
    """Clip all jobs by the norm of all."""
    norm = torch.cat([grad.flatten() for grad in grads]).norm()
    return tuple(grad * (clip_norm / norm).clamp(max=1) for grad in grads)


def clipped_by_group(grads: Sequence[Tensor], clip_norm: float) -> tuple[Tensor, ...]:
    return tuple(grad * (clip_norm / grad.norm(dim=1, keepdim=True)).clamp(max=1) for grad in grads)


@pytest.mark.parametrize("bug", [clipped_together, clipped_by_group])
def test_wrong_clipping_is_seen(
    bug: Callable[[Sequence[Tensor], float], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(block, "clipped", bug)
    task = dataclasses.replace(task_of(MODELS["batch norm"]), groups=no_decay)
    assert_seen(recipe_for(task, optimizer=OptimizerSpec("SGD", {}), **CLIPPED))


def test_an_average_that_begins_at_the_untrained_weights_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    average = block.Block._average
    monkeypatch.setattr(block.Block, "_average", lambda self, share: average(self, 0.2))
    assert_seen(recipe_for(task_of(MODELS["batch norm"]), ema=0.8))


def test_groups_that_share_a_rate_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    update = block.Block._update

    def planted(self: block.Block, now: Any, grads: Any, rates: Tensor) -> None:
        update(self, now, grads, rates[:, :1].expand_as(rates))

    monkeypatch.setattr(block.Block, "_update", planted)
    task = dataclasses.replace(task_of(MODELS["batch norm"]), groups=no_decay)
    assert_seen(recipe_for(task, optimizer=OptimizerSpec("AdamW", {})), adamw_in_groups)
