"""bfloat16 is a study's choice: both engines train in it, and weights stay in float32."""

import pytest
import torch
from fused_loops import OPTIMIZERS, jobs_of, recipe_of
from torch import nn

from schedsearch.config import StudyConfig
from schedsearch.schedules.schedule import Schedule
from schedsearch.tasks.registry import load_task
from schedsearch.training.choice.trainer import Trainer
from schedsearch.training.choice.way import Way
from schedsearch.training.precision import in_bf16
from schedsearch.training.recipe import Recipe
from schedsearch.training.reference import train


@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_both_engines_train_in_it(model: str) -> None:
    full = recipe_of(load_task("digits", model=model))
    half = Recipe(full.task, OPTIMIZERS[0], full.evals, precision="bf16")
    jobs = jobs_of(full, [Schedule("CosineAnnealingLR", 0.03), Schedule("StepLR", 0.02)], 60)
    want = train(half, jobs)
    got = Trainer(Way("fused", stack=2), half).train(jobs)
    exact = train(full, jobs)
    for one, other, third in zip(got, want, exact, strict=True):
        assert one.final.val_loss == pytest.approx(other.final.val_loss, rel=0.1)
        assert other.final.val_loss == pytest.approx(third.final.val_loss, rel=0.2)
        assert other.final.val_loss != third.final.val_loss


def test_products_are_bfloat16_and_weights_float32() -> None:
    seen: list[torch.dtype] = []
    task = in_bf16(load_task("digits"))
    model = task.model(0)
    layer = next(m for m in model.modules() if isinstance(m, nn.Linear))
    layer.register_forward_hook(lambda module, inputs, out: seen.append(out.dtype))
    loss = task.loss_of(model, task.sample)
    loss.backward()  # type: ignore[no-untyped-call]
    assert seen == [torch.bfloat16]
    assert loss.dtype == torch.float32
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_it_is_part_of_what_a_run_may_not_change() -> None:
    study = {"name": "a", "task": "digits"}
    full = StudyConfig.model_validate(study)
    half = StudyConfig.model_validate(study | {"training": {"precision": "bf16"}})
    assert half.identity() == full.identity() | {"training.precision": "bf16"}
