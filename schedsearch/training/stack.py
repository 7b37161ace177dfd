"""Stack: K models of one task as rows of one parameter [K, P], stepped by a real torch optimizer.

    params [K, P] --vmap(grad_and_value)--> grads [K, P], losses [K]
    one optimizer with lr = 1:  params -> params + update
    each run's own rate:        params + rate[k] * update[k]

This equals K optimizers with their own rates wherever an update is elementwise and linear in `lr`:
SGD, Adam, AdamW, NAdam, RAdam. A stack lies in blocks of equal size, so that one compiled step
serves them all, and a block is free as soon as so many runs have ended.
"""

import inspect
from collections.abc import Callable, Sequence
from math import ceil
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from schedsearch.tasks.task import Split
from schedsearch.training.optimizers import OptimizerSpec
from schedsearch.training.template import Gradients, Template


class Block:
    """Rows of a stack that are stepped together, by one optimizer.

    Args:
        gradients: the function of the rows' gradients (see `Template.gradients`).
        params: `[K, P]`, one row a run.
        optimizer: a fusable optimizer.
        state: the optimizer's state, where there is one already.
    """

    def __init__(
        self,
        gradients: Gradients,
        params: Tensor,
        optimizer: OptimizerSpec,
        state: dict[str, Any] | None = None,
    ) -> None:
        self._gradients = gradients
        self.params = nn.Parameter(params)
        self.optimizer = optimizer.make([self.params], lr=1.0)
        # the step itself: torch wraps it in hooks that a compiled step would be broken up by
        self._optimizer_step = inspect.unwrap(type(self.optimizer).step)
        if state:
            self.optimizer.state[self.params] = state

    @property
    def state(self) -> dict[str, Any]:
        """The optimizer's state; empty before the first step."""
        state: dict[str, Any] = self.optimizer.state[self.params]
        return state

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights."""
        return self.params.dtype

    def step(self, inputs: Tensor, targets: Tensor, rates: Tensor) -> Tensor:
        """Make one step of every run, each at its own rate.

        Args:
            inputs: `[B, ...]` for all runs, or `[K, B, ...]` when each has its own batches.
            targets: `[B]` or `[K, B]`.
            rates: `[K, 1]`, on the device.

        Returns:
            The losses `[K]` before the step.
        """
        now = self.params.detach()
        grads, losses = self._gradients(now, inputs, targets)
        if self.params.grad is not None and torch.compiler.is_compiling():
            self.params.grad.copy_(grads)  # a new .grad would break the compiled graph up
        else:
            self.params.grad = grads
        with torch.no_grad():
            before = now.clone()
            self._optimizer_step(self.optimizer)
            self.params.copy_(torch.lerp(before, self.params, rates))
        return losses


# Makes a step of a block, as `Block.step` does: as it is, or compiled.
Stepper: TypeAlias = Callable[[Block, Tensor, Tensor, Tensor], Tensor]


class Stack:
    """K runs of one task, trained together.

    Args:
        template: the task's.
        seeds: the seed of each run's weights.
        optimizer: a fusable optimizer.
        stepper: makes a block's step (default: `Block.step`).
        block: rows of a block (default: all). The last one is filled up with copies.
    """

    def __init__(
        self,
        template: Template,
        seeds: Sequence[int],
        optimizer: OptimizerSpec,
        *,
        stepper: Stepper = Block.step,
        block: int | None = None,
    ) -> None:
        self._template, self._spec, self._stepper = template, optimizer, stepper
        weights = {seed: template.weights(seed) for seed in sorted(set(seeds))}
        self.own_batches = len(weights) > 1
        self._size = block
        self._hold(torch.stack([weights[seed] for seed in seeds]), {})

    def __len__(self) -> int:
        return self._rows

    @property
    def params(self) -> Tensor:
        """The runs' weights `[K, P]`."""
        return torch.cat([block.params.detach() for block in self.blocks])[: self._rows]

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights."""
        return self.blocks[0].dtype

    def _hold(self, params: Tensor, state: dict[str, Any]) -> None:
        """Lay rows out in blocks; a value of the state with no rows is copied to each block."""
        self._rows = len(params)
        size = self._size or len(params)
        filled = torch.arange(ceil(len(params) / size) * size) % len(params)
        parts = torch.split(filled.to(params.device), size)
        self.filled = filled.tolist()  # which row lies at each place of the blocks
        self.blocks = [
            Block(
                self._template.gradients(own=self.own_batches),
                params[rows],
                self._spec,
                {
                    name: value[rows] if _has_rows(value) else _copied(value)
                    for name, value in state.items()
                },
            )
            for rows in parts
        ]

    def step(self, inputs: Tensor, targets: Tensor, rates: Tensor) -> Tensor:
        """Make one step of every run, as `Block.step` does.

        Args:
            inputs: `[B, ...]`, or `[places, B, ...]` when the runs' seeds differ.
            targets: `[B]` or `[places, B]`.
            rates: `[places, 1]`; a place of the blocks holds the row that `filled` says.

        Returns:
            The losses `[places]` before the step.
        """
        losses, first = [], 0
        for block in self.blocks:
            mine = slice(first, first + len(block.params))
            batch = (inputs[mine], targets[mine]) if self.own_batches else (inputs, targets)
            losses.append(self._stepper(block, *batch, rates[mine]))
            first = mine.stop
        return losses[0] if len(losses) == 1 else torch.cat(losses)

    def frees(self, rows: int) -> bool:
        """Say whether fewer blocks would hold so many runs."""
        if self._size is None:
            return rows < self._rows
        return ceil(rows / self._size) < len(self.blocks)

    def keep(self, rows: Sequence[int]) -> None:
        """Drop all runs but those; the others go on as if nothing had happened."""
        index = torch.tensor(rows, device=self.blocks[0].params.device)
        states = [block.state for block in self.blocks]
        state = {
            name: torch.cat([s[name] for s in states])[index] if _has_rows(value) else value
            for name, value in states[0].items()
        }
        self._hold(self.params[index], state)

    def evaluate(self, split: Split) -> tuple[Tensor, Tensor]:
        """Give each run's mean loss and accuracy on a split, `[K]` and `[K]` (no sync)."""
        pairs, left = [], self._rows
        for block in self.blocks:  # not all at once: what it takes for a moment stays small
            pairs.append(self._template.evaluate(block.params.detach()[:left], split))
            left -= len(block.params)
        losses, right = (torch.cat(parts) for parts in zip(*pairs, strict=True))
        return losses, right


def _has_rows(value: object) -> bool:
    return isinstance(value, Tensor) and value.dim() > 0


def _copied(value: object) -> object:
    return value.clone() if isinstance(value, Tensor) else value
