"""Block: K models of one task as rows of tensors, stepped together by a real torch optimizer.

    params [K, P] --vmap(grad_and_value)--> grads [K, P], losses [K]
    one optimizer with lr = 1:  params -> params + update
    the rate of each job:       params + rate[k] * update[k]

This equals K optimizers with rates of their own wherever an update is elementwise and linear in
`lr`: SGD, Adam, AdamW, NAdam, RAdam. Each parameter group has a tensor of its own.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from schedsearch.compat import bare_step
from schedsearch.tasks.split import Batch
from schedsearch.tasks.tree import Tree
from schedsearch.training.fused.gradients import Gradients
from schedsearch.training.fused.layout import Layout, Weights
from schedsearch.training.recipe import Recipe


class Block:
    """Rows of a stack that are stepped together.

    Args:
        gradients: the function of the rows' gradients (see `Template.gradients`).
        weights: one row for each job; the block trains these tensors.
        layout: how the weights lie.
        recipe: how jobs are trained: a fusable optimizer, clipping, averaging.
        held: what a block held that is trained on (see `held`); without its weights.
    """

    def __init__(
        self,
        gradients: Gradients,
        weights: Weights,
        layout: Layout,
        recipe: Recipe,
        held: Tree | None = None,
    ) -> None:
        self._gradients = gradients
        self._clip_norm, self._decay = recipe.clip_norm, recipe.ema
        self.params = [nn.Parameter(flat) for flat in weights.params]
        self.others = weights.others
        groups = [
            {"params": [p], **options}
            for p, options in zip(self.params, layout.options, strict=True)
        ]
        self.optimizer = recipe.optimizer.make(groups, lr=1.0)
        self._optimizer_step = bare_step(self.optimizer)
        self.averages: list[Tensor] = []
        self.stepped = False
        if held is not None:
            self.averages, states = held["averages"], held["states"]
            self.stepped = held["stepped"]
            for p, state in zip(self.params, states, strict=True):
                if state:
                    self.optimizer.state[p] = state
        elif self._decay is not None:
            self.averages = [p.detach().clone() for p in self.params]

    def __len__(self) -> int:
        return len(self.params[0])

    @property
    def weights(self) -> Weights:
        """The weights of the jobs, as they are trained."""
        return Weights(tuple(p.detach() for p in self.params), self.others)

    @property
    def averaged(self) -> Weights:
        """The weights with the moving averages of what is trained, and the buffers as they are."""
        return Weights(tuple(self.averages), self.others)

    @property
    def states(self) -> list[dict[str, Any]]:
        """The optimizer's state of each group; empty before the first step."""
        return [self.optimizer.state[p] for p in self.params]

    @property
    def held(self) -> dict[str, Tree]:
        """All that is needed to train on in another block, besides the weights."""
        return {"averages": self.averages, "states": self.states, "stepped": self.stepped}

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights."""
        return self.params[0].dtype

    def step(self, batches: Sequence[Batch], rates: Tensor) -> Tensor:
        """Make one step of every job, each at its own rate.

        Args:
            batches: the batches of the step (several: their gradients are averaged); tensors are
                `[B, ...]` for all jobs, or `[K, B, ...]` when each job has its own batch.
            rates: `[K, G]`: of each job and parameter group, on the device.

        Returns:
            The losses `[K]` before the step, averaged over the batches.
        """
        now = self.weights
        grads, losses = self._gradients(now, batches[0])
        for batch in batches[1:]:
            more, others = self._gradients(now, batch)
            grads = tuple(one + other for one, other in zip(grads, more, strict=True))
            losses = losses + others
        if self._clip_norm is not None:
            grads = clipped(grads, self._clip_norm)
        with torch.no_grad():
            self._update(now.params, grads, rates)
        return losses

    def _update(self, now: Sequence[Tensor], grads: Sequence[Tensor], rates: Tensor) -> None:
        for p, grad in zip(self.params, grads, strict=True):
            if p.grad is not None and torch.compiler.is_compiling():
                p.grad.copy_(grad)  # a new .grad would break up the compiled graph
            else:
                p.grad = grad
        before = [p.clone() for p in now]
        self._optimizer_step(self.optimizer)
        for group, (p, old) in enumerate(zip(self.params, before, strict=True)):
            p.copy_(torch.lerp(old, p, rates[:, group : group + 1]))
        if self._decay is not None:
            self._average(1 - self._decay if self.stepped else 1.0)
        if not self.stepped:
            self.stepped = True

    def _average(self, share: float) -> None:
        """Move the averages towards the weights, as torch's AveragedModel: at first all the way."""
        for p, average in zip(self.params, self.averages, strict=True):
            average.lerp_(p.detach(), share)


def clipped(grads: Sequence[Tensor], clip_norm: float) -> tuple[Tensor, ...]:
    """Return the gradients of each job as torch's `clip_grad_norm_` leaves them.

    >>> clipped([torch.tensor([[3.0, 4.0], [0.3, 0.4]])], 1.0)[0]
    tensor([[0.6000, 0.8000],
            [0.3000, 0.4000]])
    """
    norms = torch.stack([torch.linalg.vector_norm(grad, dim=1) for grad in grads])
    norm = torch.linalg.vector_norm(norms, dim=0)
    factor = (clip_norm / (norm + 1e-6)).clamp(max=1.0).unsqueeze(1)
    return tuple(grad * factor for grad in grads)


Stepper: TypeAlias = Callable[[Block, Sequence[Batch], Tensor], Tensor]
"""Makes a step of a block: `Block.step` itself, or a compiled step."""
