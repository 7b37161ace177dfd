"""When a training has diverged: for losses of any sign, and for models whose validation lags."""

import math
from dataclasses import replace

import pytest
import torch
from own_sequences import TOKENS
from own_tasks import DICE, IMBALANCED, LIKELIHOOD, NORMED, REGRESSION, STARTED
from torch import nn

from schedsearch import Curve, OptimizerSpec, Recipe, Schedule, TaskSource, load_task
from schedsearch.training.divergence import IN_A_ROW, start_of
from schedsearch.training.reference import train

SGD = OptimizerSpec("SGD", {"momentum": 0.9})


def trained(source: TaskSource, rate: float, *, model: str | None = None, steps: int = 80) -> Curve:
    recipe = Recipe(load_task(source, model=model, batch_size=16), SGD, evals=8)
    (curve,) = train(recipe, [recipe.job(Schedule("CosineAnnealingLR", rate), 0, steps)])
    return curve


@pytest.mark.parametrize(
    ("source", "rate"),
    [(DICE, 0.1), (LIKELIHOOD, 3e-4), (REGRESSION, 0.05), (IMBALANCED, 0.1), (TOKENS, 1.0)],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_good_training_does_not_diverge(source: TaskSource, rate: float) -> None:
    curve = trained(source, rate)
    assert not curve.diverged
    assert curve.final.step == 80
    assert curve.final.train_loss < curve.rows[0].train_loss


def test_a_loss_below_zero_has_a_limit_above_the_start() -> None:
    task = load_task(DICE, batch_size=16)
    start = start_of(task, 0, 3.0)
    assert start.values["val_loss"] < 0 < start.limit
    assert start_of(task, 0, 5.0).limit > start.limit


def test_a_loss_of_almost_zero_at_the_start_has_room() -> None:
    """Fine-tuning from a good checkpoint: three times nothing is no limit."""
    task = load_task(STARTED, model="good", batch_size=16)
    start = start_of(task, 0, 3.0)
    assert 0 < start.values["val_loss"] < 0.2
    assert start.limit > 1
    assert not trained(STARTED, 0.03, model="good").diverged


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_the_limit_is_in_the_unit_of_the_loss(scale: float) -> None:
    """A loss in another unit is judged alike: the limit scales with it."""

    def scaled(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return scale * nn.functional.mse_loss(outputs, targets)

    plain = start_of(load_task(REGRESSION, batch_size=16), 0, 3.0)
    other = start_of(load_task(replace(REGRESSION, loss=scaled), batch_size=16), 0, 3.0)
    assert other.limit == pytest.approx(scale * plain.limit, rel=1e-4)


def _lagging() -> nn.Module:
    """Return a model whose running statistics stay behind its weights."""
    norms = [nn.BatchNorm1d(16, momentum=0.01) for _ in range(2)]
    first, second = nn.Linear(8, 16), nn.Linear(16, 16)
    return nn.Sequential(first, norms[0], nn.ReLU(), second, norms[1], nn.ReLU(), nn.Linear(16, 2))


def test_a_validation_loss_that_lags_does_not_end_a_training() -> None:
    """The validation loss is far above the untrained model's, and the training ends well."""
    curve = trained(replace(NORMED, models={"lagging": _lagging}), 0.8, steps=240)
    assert curve.rows[0].val_loss > 6 * curve.initial_loss
    assert not curve.diverged
    assert curve.final.val_loss < 0.5 * curve.initial_loss


@pytest.mark.parametrize("rate", [3.0, 1e30])
def test_a_training_that_comes_to_nothing_ends(rate: float) -> None:
    curve = trained(REGRESSION, rate)
    assert curve.diverged
    assert len(curve.rows) <= 1 + IN_A_ROW or not math.isfinite(curve.final.train_loss)


def test_measuring_the_start_disturbs_nothing() -> None:
    task = load_task(NORMED, model="dropout", batch_size=16)
    state = torch.get_rng_state()
    one, other = start_of(task, 4, 3.0), start_of(task, 4, 3.0)
    assert one == other
    assert torch.equal(torch.get_rng_state(), state)
    assert start_of(task, 5, 3.0) != one
