"""PreparedStack: the fused engine in one way, with its models' code and its compiled steps."""

from collections.abc import Callable, Sequence
from functools import cached_property

import torch

from schedsearch.training.choice.way import Way
from schedsearch.training.device import threads
from schedsearch.training.fused.batches import trial_taker
from schedsearch.training.fused.compiled import compiled_lanes
from schedsearch.training.fused.stack import Lane, Stack, plain_lanes
from schedsearch.training.fused.train import train_fused
from schedsearch.training.recipe import Job, OnEnd, OnEval, Recipe


class PreparedStack:
    """The fused engine in one way, ready to train.

    Args:
        way: how blocks are laid out, and whether their step is compiled.
        recipe: how jobs are trained, with the task in the way's memory format.
    """

    def __init__(self, way: Way, recipe: Recipe) -> None:
        self.way, self.recipe = way, recipe
        self._compiled: Sequence[Lane] | None = None

    @cached_property
    def _plain(self) -> Sequence[Lane]:
        return plain_lanes(self.recipe, self.way.lanes)

    def compile(self) -> str | None:
        """Compile the steps and check them; return what is wrong, None when nothing is."""
        way = self.way
        lanes, problem = compiled_lanes(self.recipe, way.size, way.lanes, own=way.own_batches)
        self._compiled = self._plain if problem else lanes
        return problem

    def _lanes(self, *, own: bool) -> Sequence[Lane]:
        """Return the lanes for jobs with batches of their own, or with shared ones."""
        if not self.way.compiled or own != self.way.own_batches:
            return self._plain
        if self._compiled is None:
            self.compile()
        return self._compiled or self._plain

    def stepper(self) -> Callable[[int], None]:
        """Return a function that makes a number of steps of a block in each lane."""
        task, way, each = self.recipe.trained_task, self.way, self.recipe.accumulate
        lanes = self._lanes(own=way.own_batches)
        jobs = way.size * len(lanes)
        stack = Stack(lanes, [0] * jobs, block=way.size, own=way.own_batches)
        take = trial_taker(task, jobs, own=way.own_batches)

        def steps(count: int) -> None:
            shape = (count, jobs, len(stack.factors))
            rates = torch.full(shape, 1e-6, device=task.device, dtype=stack.dtype)
            stack.train([take] * (count * each), rates)

        return steps

    def train(self, jobs: Sequence[Job], *, on_eval: OnEval | None, on_end: OnEnd | None) -> None:
        """Train the jobs, a stack of them at once."""
        own = self.way.own_batches or len({job.seed for job in jobs}) > 1
        with threads(self.way.threads):
            lanes = self._lanes(own=own)
        train_fused(
            self.recipe,
            jobs,
            on_eval=on_eval,
            on_end=on_end,
            stack=self.way.stack,
            lanes=lanes,
            block=self.way.block,
            own=own,
            fill=self.way.compiled and own == self.way.own_batches,
        )
