"""Trainers: the trainer of each phase, chosen by a measurement when a phase first needs one."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

from schedsearch.search.context import Context
from schedsearch.search.events import Chosen, Note, OnEvent
from schedsearch.search.plan import Plan
from schedsearch.store.place import FAILED
from schedsearch.store.records import FINISHED
from schedsearch.training.choice.block_cost import Waves
from schedsearch.training.choice.probe import choose_trainer
from schedsearch.training.choice.trainer import Trainer
from schedsearch.training.choice.way import EngineWish, Way
from schedsearch.training.own.failures import Failures
from schedsearch.training.own.function import FunctionTrainer
from schedsearch.training.own.task import OwnTask
from schedsearch.training.own.trainer import CommandTrainer
from schedsearch.training.recipe import Job, Recipe

AnyTrainer: TypeAlias = Trainer | CommandTrainer | FunctionTrainer


@dataclass
class Trainers:
    """Chooses how each phase is trained; a trainer of the user's own trains them all.

    Args:
        recipe: how each job is trained.
        wish: the engine that the study asks for.
        on_event: told of each choice.
        failed: where trainings by a trainer of the user's own are kept that failed.
        proven: whether the run has trainings that succeeded.
    """

    recipe: Recipe
    wish: EngineWish
    on_event: OnEvent
    failed: Path
    proven: bool
    _shared: Trainer | None = field(init=False, default=None)  # of jobs that share their seed
    _told: set[str] = field(init=False, default_factory=set)

    @classmethod
    def of(cls, plan: Plan, context: Context, folder: Path) -> "Trainers":
        """Return the trainers of a plan; `folder` is the run's."""
        proven = any(trial.state in FINISHED for trial in context.run.search_trials())
        return cls(plan.recipe, plan.engine, context.on_event, folder / FAILED, proven)

    def for_search(self, waves: Waves, steps: int) -> AnyTrainer:
        """Return the trainer of the search, for the trainings at once and all steps left."""
        if self._own is not None:
            return self._own
        if self._shared is None:
            self._shared = self._choose("engine", waves, steps, own=False)
        return self._shared

    def for_jobs(self, jobs: Sequence[Job]) -> AnyTrainer:
        """Return the trainer of jobs that are trained together, none of which has rungs."""
        if self._own is not None:
            return self._own
        own = len({job.seed for job in jobs}) > 1
        if self._shared is not None and not own:
            return self._shared
        waves = [(len(jobs), max(job.end for job in jobs))]
        steps = sum(job.end for job in jobs)
        chosen = self._choose("engine of the confirmation", waves, steps, own=own)
        if not own:
            self._shared = chosen
        return chosen

    def alone(self) -> AnyTrainer:
        """Return a trainer of one job after the other, in the plain loop."""
        if self._own is not None:
            return self._own
        threads = 1 if self._shared is None else _threads_of_one(self._shared.way)
        return Trainer(Way("reference", threads=threads), self.recipe)

    @cached_property
    def _own(self) -> CommandTrainer | FunctionTrainer | None:
        """The user's own trainer."""
        task = self.recipe.task
        if not isinstance(task, OwnTask):
            return None
        failures = Failures(self.failed, proven=self.proven, note=self._note)
        kind = FunctionTrainer if task.function is not None else CommandTrainer
        return kind(task, failures, self._tell)

    def _note(self, text: str) -> None:
        self.on_event(Note(text))

    def _tell(self, key: str, text: str) -> None:
        """Tell something once."""
        if key not in self._told:
            self._told.add(key)
            self._note(text)

    def _choose(self, what: str, waves: Waves, steps: int, *, own: bool) -> Trainer:
        chosen = choose_trainer(self.recipe, self.wish, waves=waves, steps=steps, own=own)
        self.on_event(Chosen(f"{what}: {chosen.way.summary}; {chosen.way.reason}"))
        return chosen


def _threads_of_one(way: Way) -> int:
    """Return the intra-op threads of a job that is trained alone."""
    return way.threads if way.kind == "reference" else way.alone_threads
