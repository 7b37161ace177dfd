"""Prepared: what trains jobs in one way, with what is made once; and that of a plain loop."""

from collections.abc import Callable, Sequence
from typing import Protocol

from schedsearch.training.recipe import Job, OnEnd, OnEval, Recipe
from schedsearch.training.reference import averaged_model, train
from schedsearch.training.step import make_step


class Prepared(Protocol):
    """What trains jobs in one way, with what is made once for it: models' code, compiled steps."""

    @property
    def recipe(self) -> Recipe:
        """How jobs are trained, with the task in the way's memory format."""

    def stepper(self) -> Callable[[int], None]:
        """Return a function that makes a number of steps of `size * lanes` jobs, to be timed."""

    def train(self, jobs: Sequence[Job], *, on_eval: OnEval | None, on_end: OnEnd | None) -> None:
        """Train the jobs; the arguments are those of `reference.train`."""


class PreparedLoop:
    """A plain loop: the reference engine, ready to train.

    Args:
        recipe: how jobs are trained, with the task in the way's memory format.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    def stepper(self) -> Callable[[int], None]:
        """Return a function that makes a number of steps of one job, as `fit` does."""
        recipe, task = self.recipe, self.recipe.trained_task
        model = task.model(0).train()
        optimizer = recipe.make_optimizer(model, 1e-6)
        averaged = averaged_model(model, recipe.ema)
        batches = [next(task.batches(0, 1))] * recipe.accumulate

        def steps(count: int) -> None:
            for _ in range(count):
                make_step(recipe, model, optimizer, batches)
                if averaged is not None:
                    averaged.update_parameters(model)

        return steps

    def train(self, jobs: Sequence[Job], *, on_eval: OnEval | None, on_end: OnEnd | None) -> None:
        """Train the jobs one after the other."""
        train(self.recipe, jobs, on_eval=on_eval, on_end=on_end)
