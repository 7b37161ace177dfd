"""Trainers: the trainer of each phase, chosen by a measurement when a phase first needs one."""

from collections.abc import Sequence
from dataclasses import dataclass

from schedsearch.search.events import Chosen, OnEvent
from schedsearch.training.choice.block_cost import Waves
from schedsearch.training.choice.probe import choose_trainer
from schedsearch.training.choice.trainer import Trainer
from schedsearch.training.choice.way import EngineWish, Way
from schedsearch.training.recipe import Job, Recipe


@dataclass
class Trainers:
    """Chooses how each phase is trained.

    Args:
        recipe: how each job is trained.
        wish: the engine that the study asks for.
        on_event: told of each choice.
        shared: the trainer of jobs that share their seed: the search, the checks, the tuning of
            the baselines; None until it is chosen.
    """

    recipe: Recipe
    wish: EngineWish
    on_event: OnEvent
    shared: Trainer | None = None

    def for_search(self, waves: Waves, steps: int) -> Trainer:
        """Return the trainer of the search, for the trainings at once and all steps left."""
        if self.shared is None:
            self.shared = self._choose("engine", waves, steps, own=False)
        return self.shared

    def for_jobs(self, jobs: Sequence[Job]) -> Trainer:
        """Return the trainer of jobs that are trained together, none of which has rungs."""
        own = len({job.seed for job in jobs}) > 1
        if self.shared is not None and not own:
            return self.shared
        waves = [(len(jobs), max(job.end for job in jobs))]
        steps = sum(job.end for job in jobs)
        chosen = self._choose("engine of the confirmation", waves, steps, own=own)
        if not own:
            self.shared = chosen
        return chosen

    def alone(self) -> Trainer:
        """Return a trainer of one job after the other, in the plain loop."""
        threads = 1 if self.shared is None else _threads_of_one(self.shared.way)
        return Trainer(Way("reference", threads=threads), self.recipe)

    def _choose(self, what: str, waves: Waves, steps: int, *, own: bool) -> Trainer:
        chosen = choose_trainer(self.recipe, self.wish, waves=waves, steps=steps, own=own)
        self.on_event(Chosen(f"{what}: {chosen.way.summary}; {chosen.way.reason}"))
        return chosen


def _threads_of_one(way: Way) -> int:
    """Return the intra-op threads of a job that is trained alone."""
    return way.threads if way.kind == "reference" else way.alone_threads
