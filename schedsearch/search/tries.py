"""Try what a study asks for: build every family at a horizon, make one step of the optimizer."""

from collections.abc import Callable, Iterator
from functools import partial
from math import ceil

import torch
from torch.optim import Optimizer

from schedsearch.errors import ConfigError
from schedsearch.horizon import evaluation_steps, warmup_steps
from schedsearch.schedules.family import Family
from schedsearch.schedules.params import Value, active
from schedsearch.schedules.schedule import Schedule
from schedsearch.schedules.space import Space
from schedsearch.schedules.wrappers import lead_optimizer
from schedsearch.training.own.task import OwnTask
from schedsearch.training.recipe import Recipe


def try_horizon(space: Space, recipe: Recipe, total_steps: int) -> None:
    """Build each family at the ends of its ranges, at a horizon, on the study's optimizer."""
    evaluation_steps(total_steps, space.evals)
    horizon = total_steps
    if space.step_unit == "epoch":
        horizon = ceil(total_steps / recipe.steps_per_epoch)
    if space.warmup != "none":
        for frac in (space.warmup_frac.low, space.warmup_frac.high):
            warmup_steps(frac, horizon)
    make_optimizer = _optimizers(recipe)
    for family in space.families:
        for point in _corners(family):
            schedule = Schedule(family.name, space.peak_lr.high, point)
            schedule.build(make_optimizer(1.0), horizon, evals=space.evals)


def _optimizers(recipe: Recipe) -> Callable[[float], Optimizer]:
    """Return a maker of the study's optimizer at a rate; of SGD where the trainer is the user's."""
    if isinstance(recipe.task, OwnTask):
        return lead_optimizer
    return partial(recipe.make_optimizer, recipe.trained_task.model(0))


def try_step(recipe: Recipe) -> None:
    """Make one step: some optimizers look at their arguments only then."""
    if isinstance(recipe.task, OwnTask):
        return
    optimizer, model = recipe.optimizer, recipe.trained_task.model(0)
    optim = recipe.make_optimizer(model, 1e-6)
    for param in model.parameters():
        param.grad = torch.zeros_like(param)
    try:
        optim.step()
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:
        text = " ".join(str(error).split())[:200]
        raise ConfigError(
            f"optimizer {optimizer.name} with {dict(optimizer.args)}: {text}"
        ) from error


def _corners(family: Family) -> Iterator[dict[str, Value]]:
    """Yield points at the ends of a family's ranges: each choice by itself, all lows, all highs."""
    points: list[dict[str, Value]] = [{}]
    points += [{p.name: v} for p in family.params for v in p.extremes()]
    points += [{p.name: p.extremes()[end] for p in family.params} for end in (0, -1)]
    for point in points:
        full: dict[str, Value] = {}
        for param in family.params:
            if active(param, full):
                full[param.name] = point.get(param.name, param.default)
        yield full
