"""The gradients of many jobs in one pass, by torch.func."""

from collections.abc import Callable
from typing import Any, TypeAlias

from torch import Tensor, nn
from torch.func import grad_and_value, vmap

from schedsearch.tasks.split import Batch
from schedsearch.tasks.task import Task
from schedsearch.tasks.tree import map_tensors
from schedsearch.training.fused.called import Called
from schedsearch.training.fused.layout import Layout, Weights

Gradients: TypeAlias = Callable[[Weights, Batch], tuple[tuple[Tensor, ...], Tensor]]
"""(weights of K jobs, batch) -> (gradients `[K, P]` of each group, losses `[K]`).

Buffers among the weights are changed as a training step changes them.
"""


def gradients_of(
    model: nn.Module, task: Task, layout: Layout, *, own: bool = False, accumulate: int = 1
) -> Gradients:
    """Return the function of the gradients of K jobs of a task.

    A single job is not vmapped, so that a convolution keeps its memory format.

    Args:
        model: the model's code; what all jobs share is read from it.
        task: the task.
        layout: of the task's models.
        own: whether each job has a batch of its own: tensors `[K, B, ...]` instead of `[B, ...]`.
        accumulate: batches of an optimizer step; each counts by its share.
    """

    def one(
        params: tuple[Tensor, ...], others: dict[str, Tensor], batch: Batch
    ) -> tuple[Tensor, dict[str, Tensor]]:
        named = layout.named(Weights(params, others))
        forward: Any = Called(model, named)
        loss = task.loss_of(forward, batch)
        loss = loss / accumulate if accumulate > 1 else loss
        # a module may also put a new tensor in the place of a buffer: that is found in `named`
        return loss, {name: named[name] for name in layout.changing}

    of_one: Any = grad_and_value(one, has_aux=True)

    def of_all(weights: Weights, batch: Batch) -> Any:
        dims: Any = map_tensors(lambda tensor: 0, batch) if own else None  # type: ignore[arg-type, return-value]
        every: Any = vmap(of_one, in_dims=(0, 0, dims), randomness="different")
        return every(*weights, batch)

    def gradients(weights: Weights, batch: Batch) -> tuple[tuple[Tensor, ...], Tensor]:
        if len(weights.params[0]) > 1:
            grads, (losses, changed) = of_all(weights, batch)
        else:
            first, mine = map_tensors(lambda tensor: tensor[0], (weights, batch if own else None))
            one_job = of_one(*first, mine if own else batch)
            grads, (losses, changed) = map_tensors(lambda tensor: tensor.unsqueeze(0), one_job)
        for name, tensor in changed.items():
            weights.others[name].copy_(tensor)
        return grads, losses

    return gradients
