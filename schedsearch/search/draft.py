"""Draft: a study file with its names resolved and its numbers tried, before anything is written.

    study file -> Draft -> Plan

The peak rates may still be left to a range test, and the kind of rungs to a pilot; a plan is made
when both are known.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from math import ceil
from typing import Any

from schedsearch.config import StudyConfig
from schedsearch.errors import ConfigError, ScheduleError
from schedsearch.horizon import evaluation_steps
from schedsearch.objective import Objective, find_objective
from schedsearch.schedules.space import Space, make_space
from schedsearch.search.given_task import Given
from schedsearch.search.peak_lr import PeakRange, range_without_test
from schedsearch.search.plan import ConfirmationPlan, Kind, Plan, Sampling, SubSearch, divided
from schedsearch.search.pruners import make_pruner
from schedsearch.search.recipes import data_folder, recipe_of, watched_values
from schedsearch.search.refusals import refuse_too_few, refuse_two_pruners
from schedsearch.search.rungs import Rungs, resolve_rungs
from schedsearch.search.samplers import find_sampler, make_sampler
from schedsearch.search.tries import try_horizon, try_step
from schedsearch.seeds import derive_seed
from schedsearch.statistics.ranks import LEAST_PAIRS
from schedsearch.store.names import CHECKS
from schedsearch.tasks.identity import task_identity
from schedsearch.tasks.task import TaskSource
from schedsearch.tasks.tries import try_task
from schedsearch.training.choice.way import EngineWish
from schedsearch.training.engines import engines_for
from schedsearch.training.own.identity import trainer_identity
from schedsearch.training.own.task import OwnTask
from schedsearch.training.range_test import HIGHEST, LOWEST
from schedsearch.training.recipe import Recipe

_SHARE = 0.25  # of the search's steps that the checks may take, unless the study says their number
_FEWEST, _MOST = LEAST_PAIRS, 16


@dataclass(frozen=True, eq=False)
class Draft:
    """A study file with its names resolved and its numbers tried; see `draft_of`.

    Args:
        config: the study file.
        objective: what is compared.
        recipe: how each job is trained.
        space: its search space; where the peak rates are open, with all that a range test tries.
        rungs: its rungs; where their kind is open, squeezed ones.
        reads_pruned: whether the sampler learns from pruned trials.
        notes: what a person should know of it, in a line each.
        source: the task or the trainer, where it was given as a value and not by its name.
    """

    config: StudyConfig
    objective: Objective
    recipe: Recipe
    space: Space
    rungs: Rungs
    reads_pruned: bool
    notes: tuple[str, ...] = ()
    source: Given | None = None

    @property
    def peak_lr_is_open(self) -> bool:
        """Whether a range test decides the peak rates that are searched."""
        return self._without_test is None

    @property
    def kind_is_open(self) -> bool:
        """Whether a pilot decides the kind of the rungs."""
        return self.config.fidelity.kind == "auto" and self.rungs.kind != "full"

    @property
    def given_peak_lr(self) -> PeakRange:
        """The peak rates that the study file gives, or that are usual for its optimizer."""
        if self._without_test is None:
            raise ValueError("a range test decides the peak rates")
        return self._without_test

    @cached_property
    def _without_test(self) -> PeakRange | None:
        return range_without_test(self.config.space.peak_lr, self.recipe.optimizer)

    def identity(self, peak: PeakRange) -> dict[str, Any]:
        """Return, by dotted name, what may not change while a run goes on."""
        space = self._space(peak).describe()
        families: dict[str, Any] = space.pop("families")
        order = space.pop("order")
        return (
            self.config.identity()
            | ({} if self.config.is_own else {"model": self.recipe.task.model_name})
            | {"families": order}
            | {f"space.{key}": value for key, value in space.items()}
            | {f"ranges.{name}": params for name, params in families.items()}
            | self._rungs_identity()
            | self.task_identity
        )

    @cached_property
    def task_identity(self) -> dict[str, Any]:
        """What the task is known by, by dotted name."""
        task = self.recipe.task
        return trainer_identity(task) if isinstance(task, OwnTask) else task_identity(task)

    def fingerprint(self, peak: PeakRange) -> str:
        """Return 16 hexadecimal digits that change with anything that is sampled."""
        return self._space(peak).fingerprint()

    def plan(self, peak: PeakRange, kind: Kind | None = None) -> Plan:
        """Return the plan.

        Args:
            peak: the peak rates that are searched.
            kind: the kind of the rungs that a pilot chose, where it is open.
        """
        if self.kind_is_open != (kind is not None):
            raise ValueError(f"the kind of the rungs is open: {self.kind_is_open}, given: {kind}")
        config, rungs, first = self.config, self.rungs, self._space(peak)
        space = first.with_rates(*peak.searched)
        if kind == "full":
            rungs = Rungs("full", rungs.horizons[-1:])
        elif kind is not None:
            rungs = replace(rungs, kind=kind)
        wish, ranks = config.confirmation, config.mode == "rank"
        searches = self._searches(space, rungs)
        return Plan(
            name=config.name,
            mode=config.mode,
            objective=self.objective,
            recipe=self.recipe,
            total_steps=config.training.total_steps,
            unit=config.training.unit,
            space=space,
            widens=config.space.widens and peak.widened is None,
            rungs=rungs,
            searches=searches,
            checks=self._checks(first, self._searches(first, self.rungs)),
            confirmation=ConfirmationPlan(
                finalists=len(space.families) if ranks else wish.finalists,
                by_family=ranks,
                seeds=wish.seeds,
                test=wish.test,
            ),
            seed=config.seed,
            training_seed=derive_seed(config.seed, "training"),
            pruner=config.search.pruner,
            reads_pruned=self.reads_pruned,
            engine=EngineWish(
                config.training.engine,
                config.training.stack or None,
                config.training.threads or None,
            ),
            data_folder=data_folder(self.config),
            source=self.source if isinstance(self.source, TaskSource) else None,
        )

    def assumed_plan(self, peak: PeakRange) -> Plan:
        """Return the plan; where a pilot is to choose the kind of the rungs, with squeezed ones."""
        return self.plan(peak, "squeeze" if self.kind_is_open else None)

    def _space(self, peak: PeakRange) -> Space:
        """Return the space that the run is made with."""
        return self.space.with_rates(peak.low, peak.high)

    def _rungs_identity(self) -> dict[str, Any]:
        if self.rungs.kind == "full":
            return {}
        kind = "auto" if self.kind_is_open else self.rungs.kind
        shown = {"kind": kind, "horizons": self.rungs.horizons, "eta": self.rungs.eta}
        return {f"fidelity.{key}": value for key, value in shown.items()}

    def _searches(self, space: Space, rungs: Rungs) -> tuple[SubSearch, ...]:
        """Return the parts of the search; in rank mode one for each family.

        There all families get equally many trials, whatever they turn out to be worth, and a seed
        of their own: two families with the same parameters would draw the same otherwise.
        """
        config, search = self.config, self.config.search
        sampling = Sampling(search.sampler, search.sampler_args, search.history, config.seed)
        if config.mode == "search":
            batch = max(config.batch, rungs.cohort)
            return (SubSearch(space, sampling, config.trials, batch, rungs),)
        count = len(space.families)
        batch = max(ceil(config.batch / count), rungs.cohort)
        shares = divided(config.trials, count)
        return tuple(
            SubSearch(
                replace(space, families=(family,)),
                replace(sampling, seed=derive_seed(config.seed, "family", family.seed_key)),
                share,
                batch,
                rungs,
                family.name,
            )
            for family, share in zip(space.families, shares, strict=True)
        )

    def _checks(self, space: Space, searches: Sequence[SubSearch]) -> SubSearch | None:
        """Return the schedules that check the rungs: drawn at random, and all are promoted.

        Where the study doesn't say how many: as many as a quarter of the search's steps pays for,
        16 at the most; none where that is fewer than an interval needs.
        """
        rungs, count = self.rungs, self.config.fidelity.checks
        if rungs.kind == "full":
            return None
        if count is None:
            shares = divided(self.config.trials, len(searches))
            steps = sum(part.steps(n) for part, n in zip(searches, shares, strict=True))
            affordable = int(_SHARE * steps / sum(rungs.horizons))
            count = min(affordable, _MOST) if affordable >= _FEWEST else 0
        if not count:
            return None
        kind = "pilot" if self.kind_is_open else rungs.kind
        batch = min(count, max(self.config.batch, rungs.cohort))
        sampling = Sampling("random", seed=derive_seed(self.config.seed, CHECKS))
        return SubSearch(space, sampling, count, batch, replace(rungs, kind=kind, promotes="all"))


def draft_of(config: StudyConfig, device: str = "auto", source: Given | None = None) -> Draft:
    """Resolve a study file against the registries, and try what it asks for.

    Args:
        config: the study file.
        device: "auto", "cpu", "cuda", "cuda:1" ...
        source: the task or the trainer itself, where the study's name for it does not find it.

    Raises:
        SchedsearchError: whatever would stop the study, in one line.
    """
    training, shared, search = config.training, config.space, config.search
    refuse_two_pruners(config)
    engines_for(training.engine)
    sampler = find_sampler(search.sampler)
    recipe = recipe_of(config, device, source)
    notes = [] if config.is_own else try_task(recipe.trained_task)
    objective = find_objective(search.objective, recipe.objectives, key="search.objective")
    peak = range_without_test(shared.peak_lr, recipe.optimizer)
    space = make_space(
        config.families,
        peak_lr=(LOWEST, HIGHEST) if peak is None else (peak.low, peak.high),
        warmup=shared.warmup,
        warmup_frac=shared.warmup_frac,
        warmup_start_factor=shared.warmup_start_factor,
        step_unit=training.step_unit,
        evals=training.evals_per_run,
        ranges=config.ranges,
        watched=watched_values(shared.watch, objective, recipe.objectives),
    )
    refuse_too_few(config, len(space.families))
    make_sampler(search.sampler, search.sampler_args, config.seed)
    make_pruner(search.pruner, search.pruner_args)
    config = config.counted(recipe.steps_per_epoch)
    training, unit = config.training, config.training.unit
    try:
        evaluation_steps(training.total_steps, training.evals_per_run)
        try_step(recipe)
        try_horizon(space, recipe, training.total_steps)
    except ScheduleError as error:
        raise ConfigError(f"training.{unit.key(training.total_steps)}: {error}") from error
    at_horizon = partial(try_horizon, space, recipe)
    rungs, left_out = resolve_rungs(config.fidelity, training.total_steps, at_horizon, unit)
    notes += [] if left_out is None else [left_out]
    if rungs.kind != "full" and not sampler.reads_pruned:
        notes.append(
            f"sampler {sampler.name} learns nothing from trials that stay behind at a rung: it "
            "reads complete ones only (TPE reads both)"
        )
    reads = sampler.reads_pruned
    return Draft(config, objective, recipe, space, rungs, reads, tuple(notes), source)
