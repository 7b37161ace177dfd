"""Template: the model of a task as a function of weights that lie in flat tensors."""

from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from schedsearch.compat import is_convolution, quiet_vmap
from schedsearch.tasks.split import Batch
from schedsearch.tasks.task import random_state, seeded
from schedsearch.tasks.tree import count_bytes
from schedsearch.training.fused.conv_products import as_products
from schedsearch.training.fused.evaluation import JobsEvaluation
from schedsearch.training.fused.gradients import Gradients, gradients_of
from schedsearch.training.fused.layout import Layout, Weights
from schedsearch.training.recipe import Recipe

T = TypeVar("T")


_KNOWN: WeakKeyDictionary[Recipe, dict[str, Any]] = WeakKeyDictionary()


def _known(recipe: Recipe, name: str, find: Callable[[], T]) -> T:
    """Return what was found out about a recipe; it is found out once, for all its templates."""
    facts = _KNOWN.setdefault(recipe, {})
    if name not in facts:
        facts[name] = find()
    return cast("T", facts[name])


class Template:
    """What all stacks of one recipe share: the model's code, and the function of its gradients.

    Args:
        recipe: how jobs are trained.
    """

    def __init__(self, recipe: Recipe) -> None:
        quiet_vmap()
        self.recipe, self.task = recipe, recipe.trained_task
        self.model = self.task.model(0).train()
        self.layout = _known(recipe, "layout", lambda: Layout(self.task, self.model))
        self._gradients: dict[tuple[bool, bool], Gradients] = {}

    @property
    def draws(self) -> bool:
        """Whether the model draws random numbers while it trains (dropout)."""
        return _known(self.recipe, "draws", self._draws)

    def _draws(self) -> bool:
        task, device = self.task, self.task.device
        with seeded(0, device):
            model, before = task.model(0).train(), random_state(device)[-1]
            task.loss_of(model, self.batch)
            return not torch.equal(before, random_state(device)[-1])

    @cached_property
    def batch(self) -> Batch:
        """A batch of the training split, to try things on."""
        return next(iter(self.task.batches(0, 1)))

    @cached_property
    def evaluation(self) -> JobsEvaluation:
        """What evaluates jobs; it is made before several threads use it.

        With convolutions, job by job is faster than grouped convolutions.
        """
        together = JobsEvaluation(self.task, self.model, self.layout)
        if not self.has_convolutions:
            together.measures = _known(self.recipe, "measures", together.tried)
        return together

    @property
    def has_convolutions(self) -> bool:
        """Whether torch would group convolutions to vmap the model."""
        return any(is_convolution(module) for module in self.model.modules())

    def gradients(self, *, own: bool = False, products: bool = False) -> Gradients:
        """Return the function of the gradients; see `gradients_of`.

        Args:
            own: whether each job has a batch of its own.
            products: whether convolutions are written as matrix products, for torch.compile.
        """
        if (own, products) not in self._gradients:
            model = as_products(self.model) if products else self.model
            every = gradients_of(
                model, self.task, self.layout, own=own, accumulate=self.recipe.accumulate
            )
            self._gradients[own, products] = every
        return self._gradients[own, products]

    def weights(self, seed: int) -> Weights:
        """Return the initial weights of a seed."""
        return self.layout.weights(self.task.model(seed))

    def job_bytes(self) -> int:
        """Return the bytes that one job takes.

        These are the weights, the gradients, the copy of the weights before a step, three states of
        the optimizer, the average of the weights, the buffers of its own, and twice the activations
        that the gradient of one batch saves.
        """
        saved = 0

        def count(tensor: Tensor) -> Tensor:
            nonlocal saved
            saved += tensor.numel() * tensor.element_size()
            return tensor

        with (
            seeded(0, self.task.device),
            torch.autograd.graph.saved_tensors_hooks(count, lambda t: t),
        ):
            self.task.loss_of(self.task.model(0).train(), self.batch)
        own = self.layout.weights(self.model)
        copies = 6 + (self.recipe.ema is not None) + (self.recipe.accumulate > 1)
        return copies * count_bytes(own.params) + count_bytes(own.others) + 2 * saved
