"""The range test against a plain loop, and its rule."""

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from schedsearch import Schedule, train
from schedsearch.errors import ConfigError
from schedsearch.seeds import derive_seed
from schedsearch.tasks.registry import load_task
from schedsearch.training.optimizers import OptimizerSpec
from schedsearch.training.range_test import HIGHEST, LOWEST, STEPS, RangeTest, run_range_test
from schedsearch.training.recipe import Recipe

SGD, ADAM = OptimizerSpec(), OptimizerSpec("Adam", {})


def recipe_of(optimizer: OptimizerSpec) -> Recipe:
    return Recipe(load_task("digits", model="mlp"), optimizer, evals=2)


def losses_by_hand(optimizer: str, seed: int) -> tuple[list[float], list[float]]:
    """Train with a rate that is multiplied by hand; what is needed of schedsearch is the task."""
    task = load_task("digits", model="mlp")
    model = task.model(seed)
    args = {"momentum": 0.9} if optimizer == "SGD" else {}
    optim = getattr(torch.optim, optimizer)(model.parameters(), lr=1.0, **args)
    rates = np.geomspace(LOWEST, HIGHEST, STEPS).tolist()
    losses = []
    for rate, rows in zip(rates, task.batch_indices(seed, STEPS), strict=True):
        optim.param_groups[0]["lr"] = rate
        optim.zero_grad()
        outputs = model(task.train.inputs[rows])
        loss = torch.nn.functional.cross_entropy(outputs, task.train.targets[rows])
        loss.backward()  # type: ignore[no-untyped-call]
        optim.step()
        losses.append(loss.item())
    return rates, losses


@pytest.mark.parametrize("spec", [SGD, ADAM], ids=lambda spec: spec.name)
def test_the_losses_are_those_of_a_plain_loop(spec: OptimizerSpec) -> None:
    recipe = recipe_of(spec)
    found = run_range_test(recipe, seed=5)
    assert len(found.losses) == 3
    for number, losses in enumerate(found.losses):
        rates, expected = losses_by_hand(spec.name, derive_seed(5, "range test", number))
        assert found.rates == pytest.approx(rates, rel=1e-9)
        stable = found.lowest_at  # beyond, rates of 1 and more amplify the last bit
        assert losses[:stable] == pytest.approx(expected[:stable], rel=1e-3)
    assert run_range_test(recipe, 5).losses == found.losses
    assert run_range_test(recipe, 6).losses != found.losses


@pytest.mark.parametrize("spec", [SGD, ADAM], ids=lambda spec: spec.name)
def test_the_best_rate_of_a_real_search_lies_well_inside(spec: OptimizerSpec) -> None:
    recipe = recipe_of(spec)
    low, high = run_range_test(recipe, seed=0).chosen
    assert high / low == pytest.approx(100, rel=0.1)
    rates = np.geomspace(low, high, 7).tolist()
    schedules = [Schedule("CosineAnnealingLR", rate) for rate in rates]
    curves = train(recipe, [recipe.job(schedule, 1, 150) for schedule in schedules])
    ends = [math.inf if c.diverged else c.final.val_loss for c in curves]
    assert 0 < int(np.argmin(ends)) < 6


def made(losses: Any, rates: Any = None) -> RangeTest:
    """Return a test of one seed."""
    if rates is None:
        rates = np.geomspace(1e-6, 10, len(losses))
    return RangeTest(tuple(map(float, rates)), (tuple(map(float, losses)),))


def a_course(fall: int = 90, rise: int = 120) -> np.ndarray:
    """Return losses that start at 2.3, fall about a step, and blow up after another."""
    steps = np.arange(150)
    losses = 0.3 + 2.0 / (1 + np.exp((steps - fall) / 4))
    return losses + np.where(steps > rise, np.exp(np.minimum((steps - rise) / 3, 50)), 0)


def by_pandas(losses: np.ndarray) -> tuple[int, int]:
    """Return the steepest and the lowest step of one course with pandas and numpy."""
    smooth = pd.Series(losses).ewm(alpha=0.1).mean().to_numpy()
    too_high = np.flatnonzero(smooth > 1.2 * smooth[:20].mean())
    end = too_high[0] if len(too_high) else len(smooth)
    lowest = int(np.argmin(smooth[:end]))
    return 1 + int(np.argmin(smooth[2 : lowest + 1] - smooth[: lowest - 1])), lowest


@given(st.integers(30, 110), st.integers(5, 35), st.floats(0.01, 100), st.floats(0.1, 10))
def test_the_rule(fall: int, later: int, loss_unit: float, rate_unit: float) -> None:
    losses = a_course(fall, fall + later)
    test = made(losses)
    steepest, lowest = by_pandas(losses)
    assert (test.steepest_at, test.lowest_at) == (steepest, lowest)
    centre = (test.rates[steepest] * test.rates[lowest]) ** 0.5 / 2
    assert test.centre == pytest.approx(centre)
    assert test.chosen == pytest.approx((centre / 10, centre * 10), rel=0.05)
    other = made(losses * loss_unit, np.array(test.rates) * rate_unit)
    assert other.centre == pytest.approx(test.centre * rate_unit), "units don't matter"


def test_several_seeds_are_averaged_and_what_is_no_number_ends_the_course() -> None:
    one, other = a_course(80), a_course(100)
    rates = tuple(np.geomspace(1e-6, 10, 150).tolist())
    both = RangeTest(rates, (tuple(one), tuple(other)))
    assert both.smoothed == pytest.approx(made((one + other) / 2).smoothed)
    broken = np.where(np.arange(150) > 115, np.inf, other)
    test = RangeTest(rates, (tuple(one), tuple(broken)))
    assert test.lowest_at <= 115
    again = RangeTest.from_dict(json.loads(json.dumps(test.to_dict(), allow_nan=False)))
    assert again == test


@pytest.mark.parametrize(
    "losses", [np.full(150, 2.3), np.linspace(2.3, 9, 150), np.full(150, np.inf)]
)
def test_a_loss_that_never_falls_is_told(losses: np.ndarray) -> None:
    with pytest.raises(ConfigError, match="fell at no rate from 1e-06 to 10: give the range"):
        _ = made(losses).chosen
    with pytest.raises(ValueError, match="a loss of each step"):
        RangeTest((1.0, 2.0), ((1.0,),))
