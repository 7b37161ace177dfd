"""Trainer: trains jobs in one way, with all that is prepared for it."""

from collections.abc import Sequence

from schedsearch.training.choice.block_cost import jobs_alone
from schedsearch.training.choice.prepared import Prepared
from schedsearch.training.choice.way import Way
from schedsearch.training.curve import Curve
from schedsearch.training.device import threads
from schedsearch.training.engines import base_engine, find_engine
from schedsearch.training.rates import moves_more_than_the_rate
from schedsearch.training.recipe import Ended, Job, JobSource, OnEnd, OnEval, Recipe, by_course


class Trainer:
    """Trains jobs of one recipe in one way; the way decides the speed and nothing else.

    Args:
        way: the way.
        recipe: how the jobs are trained.
        prepared: what trains in that way, where a measurement has made it already.
    """

    def __init__(self, way: Way, recipe: Recipe, prepared: Prepared | None = None) -> None:
        self.way, self.recipe = way, recipe
        self._engine = find_engine(way.kind)
        if prepared is None:
            formatted = recipe.channels_last() if way.channels_last else recipe
            prepared = self._engine.prepare(way, formatted)
        self._prepared = prepared
        base = base_engine()
        alone = Way(base.name, threads=way.alone_threads, channels_last=way.channels_last)
        self._alone = base.prepare(alone, prepared.recipe)

    @property
    def room(self) -> int:
        """The number of jobs that the trainer likes to be handed at once."""
        return self.way.stack

    def run(self, source: JobSource) -> None:
        """Ask for jobs until there are none, train them, and report evaluations and ends.

        How many jobs are in flight is the trainer's affair: a source must not assume that the
        jobs of one `ask` end together, or before the next `ask`.
        """
        while jobs := source.ask(self.room):
            self.train(jobs, on_eval=source.evaluated, on_end=source.ended)

    def train(
        self, jobs: Sequence[Job], *, on_eval: OnEval | None = None, on_end: OnEnd | None = None
    ) -> list[Curve]:
        """Train the jobs; arguments and result as in `reference.train`.

        Some jobs are trained one at a time whatever the engine: those whose schedule moves more
        than the rate (the momentum), those whose model is kept, and the last few where that is
        faster.
        """
        curves: dict[Job, Curve] = {}

        def end(ended: Ended) -> None:
            curves[ended.job] = ended.curve
            if on_end is not None:
                on_end(ended)

        alone = self._jobs_alone(jobs)
        apart = [job for job in jobs if job in alone]
        together = [job for job in jobs if job not in alone]
        if together:
            with threads(self.way.threads):
                self._prepared.train(together, on_eval=on_eval, on_end=end)
        if apart:
            with threads(self.way.alone_threads):
                self._alone.train(apart, on_eval=on_eval, on_end=end)
        return [curves[job] for job in jobs]

    def _jobs_alone(self, jobs: Sequence[Job]) -> set[Job]:
        """Return the jobs that are trained one at a time beside an engine for many at once."""
        if not self._engine.many:
            return set()
        alone = {job for job in jobs if job.keeps_model or moves_more_than_the_rate(job.schedule)}
        for course in by_course([job for job in jobs if job not in alone]):
            few = jobs_alone(self.way, len(course) % self.way.stack)
            alone.update(course[len(course) - few :])
        return alone
