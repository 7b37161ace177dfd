"""The range test against a plain loop, and its rule."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from schedsearch import Schedule, train
from schedsearch.errors import ConfigError
from schedsearch.seeds import derive_seed
from schedsearch.tasks.registry import load_task
from schedsearch.tasks.split import Split
from schedsearch.training.optimizers import OptimizerSpec
from schedsearch.training.range_test import HIGHEST, LOWEST, STEPS, RangeTest, run_range_test
from schedsearch.training.recipe import Recipe

SGD, ADAM = OptimizerSpec(), OptimizerSpec("Adam", {})


def recipe_of(optimizer: OptimizerSpec, **changes: Any) -> Recipe:
    task = replace(load_task("digits", model="mlp"), **changes)
    return Recipe(task, optimizer, evals=2)


def losses_by_hand(
    optimizer: str, seed: int, clip_norm: float | None, accumulate: int
) -> tuple[list[float], list[float]]:
    """Train with a rate that is multiplied by hand; what is needed of schedsearch is the task.

    The loss is that on the same two batches after each step.
    """
    task = load_task("digits", model="mlp")
    model = task.model(seed)
    args = {"momentum": 0.9} if optimizer == "SGD" else {}
    optim = getattr(torch.optim, optimizer)(model.parameters(), lr=1.0, **args)
    rates = np.geomspace(LOWEST, HIGHEST, STEPS).tolist()
    assert isinstance(task.train, Split)
    rows_of_probes = torch.cat(list(task.batch_indices(derive_seed(seed, "probes"), 2)))
    probes = task.train.take(rows_of_probes)
    losses = []
    batches = list(task.batch_indices(seed, STEPS * accumulate))
    for step, rate in enumerate(rates):
        optim.param_groups[0]["lr"] = rate
        optim.zero_grad()
        for rows in batches[step * accumulate : (step + 1) * accumulate]:
            batch = task.train.take(rows)
            loss = cross_entropy(model(batch.inputs), batch.targets) / accumulate
            loss.backward()  # type: ignore[no-untyped-call]
        if clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        optim.step()
        losses.append(cross_entropy(model(probes.inputs), probes.targets).item())
    return rates, losses


@pytest.mark.parametrize(
    ("spec", "clip_norm", "accumulate"),
    [(SGD, None, 1), (ADAM, None, 1), (SGD, 0.1, 2)],
    ids=["SGD", "Adam", "SGD-clipped-accumulated"],
)
def test_the_losses_are_those_of_a_plain_loop(
    spec: OptimizerSpec, clip_norm: float | None, accumulate: int
) -> None:
    recipe = replace(recipe_of(spec), clip_norm=clip_norm, accumulate=accumulate)
    found = run_range_test(recipe, seed=5)
    assert len(found.losses) == 3
    for number, losses in enumerate(found.losses):
        own_seed = derive_seed(5, "range test", number)
        rates, expected = losses_by_hand(spec.name, own_seed, clip_norm, accumulate)
        assert found.rates == pytest.approx(rates, rel=1e-9)
        stable = found.lowest_at  # beyond, rates of 1 and more amplify the last bit
        assert losses[:stable] == pytest.approx(expected[:stable], rel=1e-3)


def test_the_seed_decides() -> None:
    recipe = recipe_of(SGD)
    found = run_range_test(recipe, 5)
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


def scattered(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return a loss below zero that differs between batches by more than it ever falls."""
    rows = targets.sum().item()
    return cross_entropy(outputs, targets) - 100.0 - rows


def test_batches_that_scatter_and_losses_below_zero_change_nothing() -> None:
    plain = run_range_test(recipe_of(SGD), 1)
    found = run_range_test(recipe_of(SGD, train_loss=scattered), 1)
    assert max(found.smoothed[: found.lowest_at]) < -100
    assert found.chosen == pytest.approx(plain.chosen, rel=0.05)


class Deaf(nn.Module):
    """A model whose outputs are random, whatever its weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(10))

    def forward(self, images: Tensor) -> Tensor:
        """Map images to noise."""
        return torch.randn(len(images), 10) + 0.0 * self.weight


def test_noise_is_no_fall_and_asks_for_more_seeds() -> None:
    task = load_task("digits", model="mlp", batch_size=16)
    test = run_range_test(Recipe(replace(task, make_model=Deaf), SGD, evals=1), seed=0)
    assert len(test.losses) == 9
    assert not test.falls
    assert test.noise > 0.01
    assert test.smoothed[test.lowest_at] < test.smoothed[0], "noise has a lowest step too"
    with pytest.raises(ConfigError, match="by more than its noise, on 9 seeds: give the range"):
        _ = test.chosen


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
    """Return the steps that decide, of one course, with pandas and numpy."""
    smooth = pd.Series(losses).rolling(5, center=True, min_periods=1).mean().to_numpy()
    lowest = int(np.argmin(smooth))
    fallen = smooth[0] - smooth
    return int(np.flatnonzero(fallen >= fallen[lowest] / 4)[0]), lowest


@given(
    st.integers(30, 110),
    st.integers(5, 35),
    st.floats(0.01, 100),
    st.floats(-1000, 1000),
    st.floats(0.1, 10),
)
def test_the_rule(fall: int, later: int, unit: float, zero: float, rate_unit: float) -> None:
    losses = a_course(fall, fall + later)
    test = made(losses)
    begun, lowest = by_pandas(losses)
    assert (test.begun_at, test.lowest_at) == (begun, lowest)
    centre = (test.rates[begun] * test.rates[lowest]) ** 0.5
    assert test.centre == pytest.approx(centre)
    assert test.chosen == pytest.approx((centre / 10, centre * 10), rel=0.05)
    other = made(losses * unit + zero * unit, np.array(test.rates) * rate_unit)
    assert other.centre == pytest.approx(test.centre * rate_unit, rel=0.12), "units don't matter"


def test_several_seeds_are_averaged_and_what_is_no_number_ends_the_course() -> None:
    one, other = a_course(80), a_course(100)
    rates = tuple(np.geomspace(1e-6, 10, 150).tolist())
    both = RangeTest(rates, (tuple(one), tuple(other)))
    assert both.smoothed == pytest.approx(made((one + other) / 2).smoothed)
    broken = np.where(np.arange(150) > 115, np.inf, other)
    test = RangeTest(rates, (tuple(one), tuple(broken)))
    assert len(test.smoothed) == 116
    assert test.lowest_at <= 115
    again = RangeTest.from_dict(json.loads(json.dumps(test.to_dict(), allow_nan=False)))
    assert again == test


def test_seeds_that_disagree_ask_for_more() -> None:
    rates = tuple(np.geomspace(1e-6, 10, 150).tolist())
    courses = [tuple(a_course(fall, fall + 20)) for fall in (60, 61, 62, 100)]
    assert not RangeTest(rates, tuple(courses[:3])).unsure
    assert RangeTest(rates, (*courses[:2], courses[3])).unsure
    assert RangeTest(rates, (*courses[:2], (2.3,) * 150)).unsure


@pytest.mark.parametrize(
    "losses",
    [
        np.full(150, 2.3),
        np.linspace(2.3, 9, 150),
        np.full(150, np.inf),
        np.r_[2.3, 1.0, [np.inf] * 148],
    ],
    ids=["flat", "rising", "infinite", "infinite-soon"],
)
def test_a_loss_that_never_falls_is_told(losses: np.ndarray) -> None:
    test = made(losses)
    assert not test.falls
    with pytest.raises(ConfigError, match="fell at no rate from 1e-06 to 10 by more") as caught:
        _ = test.chosen
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="a loss of each step"):
        RangeTest((1.0, 2.0), ((1.0,),))
