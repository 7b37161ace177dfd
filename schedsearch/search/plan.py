"""Plan: a study file with its names resolved and its numbers tried, before all writing."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

import torch

from schedsearch.config import StudyConfig
from schedsearch.errors import ConfigError, ScheduleError
from schedsearch.horizon import evaluation_steps, warmup_steps
from schedsearch.schedules import Family, Schedule, Space
from schedsearch.schedules.params import Value, active
from schedsearch.schedules.space import make_space
from schedsearch.search.pruners import make_pruner
from schedsearch.search.rungs import Rungs, resolve_rungs
from schedsearch.search.samplers import READ_COMPLETE_ONLY, make_sampler
from schedsearch.seeds import derive_seed
from schedsearch.statistics import TESTS, least_seeds
from schedsearch.tasks import Task, load_task
from schedsearch.training import OptimizerSpec, pick_device
from schedsearch.training.precision import in_bf16
from schedsearch.training.range_test import HIGHEST, LOWEST, RangeTest


@dataclass(frozen=True, eq=False)
class Plan:
    """What a study will do.

    Args:
        config: the study file.
        task: its task, with the data on the device.
        space: its search space.
        optimizer: its optimizer.
        total_steps: the horizon.
        eval_steps: the steps after which a run is evaluated.
        seed: decides the weights and batches of every trial (common random numbers).
        rungs: the horizons at which a trial is tried.
        notes: what a person should know of it, in a line each.
        range_test: what the range of base rates follows from, where the study leaves it open.

    Until the base rate of a study with `base_lr = "auto"` is settled, its range is all that a range
    test tries; and until a pilot has chosen, rungs of the kind "auto" stand for squeezed ones.
    """

    config: StudyConfig
    task: Task
    space: Space
    optimizer: OptimizerSpec
    total_steps: int
    eval_steps: tuple[int, ...]
    seed: int
    rungs: Rungs
    notes: tuple[str, ...] = ()
    range_test: RangeTest | None = None

    def with_base_lr(self, base_lr: tuple[float, float], test: RangeTest | None = None) -> "Plan":
        """Return the plan with another range of base rates, and the test that it follows from."""
        rate = self.space.base_lr.narrowed(base_lr, "space.base_lr")
        return replace(self, space=replace(self.space, base_lr=rate), range_test=test)

    @property
    def batch(self) -> int:
        """The trials asked at once: with rungs, as many as are needed to leave some behind."""
        return max(self.config.batch, self.rungs.cohort)

    @property
    def finalists(self) -> int:
        """The most schedules of the search that are confirmed: in rank mode, one of each family."""
        return _finalists(self.config, len(self.space.families))

    def search_steps(self, trials: int) -> int:
        """Give the optimizer steps that so many trials take when none diverges or is pruned."""
        whole, rest = divmod(trials, self.batch)
        return whole * self.rungs.steps(self.batch) + self.rungs.steps(rest)

    @property
    def data_folder(self) -> Path | None:
        """The folder that the study file names for the data."""
        return _data_folder(self.config)

    def identity(self) -> dict[str, Any]:
        """Return, by dotted name, what may not change while a run goes on."""
        space = self.space.describe()
        families: dict[str, Any] = space.pop("families")
        order = space.pop("order")
        return (
            self.config.identity()
            | {"model": self.task.model_name, "families": order}
            | {f"space.{key}": value for key, value in space.items()}
            | {f"ranges.{name}": params for name, params in families.items()}
            | self._rungs_identity()
        )

    def _rungs_identity(self) -> dict[str, Any]:
        if self.rungs.kind == "full":  # as in runs made before there was a choice
            return {}
        return {f"fidelity.{key}": value for key, value in vars(self.rungs).items()}


def make_plan(config: StudyConfig, device: str = "auto") -> Plan:
    """Resolve a study file against the registries, and try what it asks for.

    Raises:
        SchedsearchError: whatever would stop the study, in one line.
    """
    training, shared = config.training, config.space
    space = make_space(
        config.families,
        base_lr=(LOWEST, HIGHEST) if shared.base_lr == "auto" else shared.base_lr,
        warmup=shared.warmup,
        warmup_frac=shared.warmup_frac,
        warmup_start_factor=shared.warmup_start_factor,
        step_unit=training.step_unit,
        evals=training.evals_per_run,
        ranges=config.ranges,
    )
    _refuse_too_few_trials(config, len(space.families))
    _refuse_too_few_seeds(config, len(space.families))
    optimizer = OptimizerSpec(training.optimizer, training.optimizer_arguments)
    make_sampler(config.search.sampler, config.search.sampler_args, config.seed)
    make_pruner(config.search.pruner, config.search.pruner_args)
    _refuse_two_pruners(config)
    task = load_task(
        config.task,
        model=config.model,
        batch_size=training.batch_size,
        device=pick_device(device),
        folder=_data_folder(config),
    )
    if training.precision == "bf16":
        task = in_bf16(task)
    try:
        eval_steps = evaluation_steps(training.total_steps, training.evals_per_run)
        _try_step(optimizer, list(task.model(0).parameters()))
        _try_horizon(space, task, optimizer, training.total_steps)
    except ScheduleError as error:
        raise ConfigError(f"training.total_steps = {training.total_steps}: {error}") from error
    try_horizon = partial(_try_horizon, space, task, optimizer)
    rungs, left_out = resolve_rungs(config.fidelity, training.total_steps, try_horizon)
    return Plan(
        config=config,
        task=task,
        space=space,
        optimizer=optimizer,
        total_steps=training.total_steps,
        eval_steps=eval_steps,
        seed=derive_seed(config.seed, "training"),
        rungs=rungs,
        notes=tuple(_notes(config, rungs, left_out)),
    )


def _notes(config: StudyConfig, rungs: Rungs, left_out: str | None) -> Iterator[str]:
    if left_out is not None:
        yield left_out
    if rungs.kind != "full" and config.search.sampler in READ_COMPLETE_ONLY:
        yield (
            f"sampler {config.search.sampler} learns nothing from trials that stay behind at a "
            "rung: it reads complete ones only (TPE reads both)"
        )


def _refuse_two_pruners(config: StudyConfig) -> None:
    pruner, kind = config.search.pruner, config.fidelity.kind
    if pruner != "none" and kind != "full":
        raise ConfigError(
            f"search.pruner = {pruner!r} with fidelity.kind = {kind!r}: rungs prune already; "
            "say pruner = 'none', or kind = 'full'"
        )


def _refuse_too_few_trials(config: StudyConfig, families: int) -> None:
    if config.mode == "rank" and config.trials < families:
        raise ConfigError(
            f"trials = {config.trials}: mode = 'rank' gives each of {families} families as many, "
            f"so it needs at least {families} (or fewer families)"
        )


def _finalists(config: StudyConfig, families: int) -> int:
    return families if config.mode == "rank" else config.confirmation.finalists


def _refuse_too_few_seeds(config: StudyConfig, families: int) -> None:
    wish = config.confirmation
    others = _finalists(config, families) + 1  # and two references, but for the winner
    least = least_seeds(wish.test, others)
    if 0 < wish.seeds < least:
        raise ConfigError(
            f"confirmation.seeds = {wish.seeds}: {TESTS[wish.test][0]} of a winner against "
            f"{others} others needs at least {least} seeds (0: no confirmation)"
        )


def _data_folder(config: StudyConfig) -> Path | None:
    try:
        return Path(config.data).expanduser() if config.data else None
    except RuntimeError as error:
        raise ConfigError(f"data = {config.data!r}: {error}") from error


def _try_horizon(space: Space, task: Task, optimizer: OptimizerSpec, total_steps: int) -> None:
    """Build each family at the ends of its ranges, at the study's horizon, on its optimizer."""
    evaluation_steps(total_steps, space.evals)
    horizon = total_steps
    if space.step_unit == "epoch":
        horizon = ceil(total_steps / task.steps_per_epoch)
    if space.warmup != "none":
        for frac in (space.warmup_frac.low, space.warmup_frac.high):
            warmup_steps(frac, horizon)
    params = list(task.model(0).parameters())
    for family in space.families:
        for point in _corners(family):
            schedule = Schedule(family.name, space.base_lr.high, point)
            schedule.build(optimizer.make(params, lr=1.0), horizon, evals=space.evals)


def _try_step(optimizer: OptimizerSpec, params: list[torch.nn.Parameter]) -> None:
    """Make one step: some optimizers look at their arguments only then."""
    optim = optimizer.make(params, lr=1e-6)
    for param in params:
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
