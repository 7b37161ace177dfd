"""Stack: K models of one task as rows of one parameter [K, P], stepped by a real torch optimizer.

    params [K, P] --vmap(grad_and_value)--> grads [K, P], losses [K]
    one optimizer with lr = 1:  params -> params + update
    each run's own rate:        params + rate[k] * update[k]

This equals K optimizers with their own rates wherever an update is elementwise and linear in `lr`:
SGD, Adam, AdamW, NAdam, RAdam. A stack lies in blocks of equal size, so that one compiled step
serves them all, and a block is free as soon as so many runs have ended. Blocks know nothing of one
another, so threads can train some each: a lane is what one of them needs for that.
"""

import inspect
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from math import ceil
from typing import Any, TypeAlias, TypeVar, cast

import torch
from torch import Tensor, nn

from schedsearch.tasks.task import Split, Task
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
T = TypeVar("T")


@dataclass(frozen=True)
class Lane:
    """What one thread trains with, and nobody else meanwhile: a model's code, a way of stepping."""

    template: Template
    stepper: Stepper = Block.step


def plain_lanes(task: Task, count: int = 1) -> list[Lane]:
    """Make lanes that step blocks as they are.

    One alone, whatever the count, where the model draws random numbers: all runs draw from one
    stream of them, in one order.
    """
    first = Template(task)
    more = 0 if first.draws else count - 1
    return [Lane(first), *(Lane(Template(task)) for _ in range(more))]


@dataclass(frozen=True)
class _Place:
    """Where a block lies in its stack: its first row, and the lane that it is trained in."""

    block: Block
    first: int
    lane: Lane

    @property
    def rows(self) -> slice:
        return slice(self.first, self.first + len(self.block.params))


class Stack:
    """K runs of one task, trained together.

    Args:
        lanes: one for each thread that trains blocks; blocks are dealt to them in turn.
        seeds: the seed of each run's weights.
        optimizer: a fusable optimizer.
        block: rows of a block (default: all).
        own: whether each run has batches of its own (default: where seeds differ).
        fill: whether the last block is filled up with copies, where only one size is compiled.
    """

    def __init__(
        self,
        lanes: Sequence[Lane],
        seeds: Sequence[int],
        optimizer: OptimizerSpec,
        *,
        block: int | None = None,
        own: bool | None = None,
        fill: bool = False,
    ) -> None:
        self._lanes, self._spec, self._size, self._fill = lanes, optimizer, block, fill
        self._stopped = False  # as soon as a lane failed, or somebody interrupts
        template = lanes[0].template
        self._task = template.task
        weights = {seed: template.weights(seed) for seed in sorted(set(seeds))}
        self.own_batches = len(weights) > 1 if own is None else own
        self._hold(torch.stack([weights[seed] for seed in seeds]), {})

    def __len__(self) -> int:
        return self._rows

    @property
    def blocks(self) -> list[Block]:
        """The blocks, in order."""
        return [place.block for place in self._places]

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
        places = ceil(len(params) / size) * size if self._fill else len(params)
        filled = torch.arange(places) % len(params)
        parts = torch.split(filled.to(params.device), size)
        self.filled = filled.tolist()  # which row lies at each place of the blocks
        self._places = []
        for i, rows in enumerate(parts):
            lane = self._lanes[i % len(self._lanes)]
            part = {
                name: value[rows] if _has_rows(value) else _copied(value)
                for name, value in state.items()
            }
            gradients = lane.template.gradients(own=self.own_batches)
            block = Block(gradients, params[rows], self._spec, part)
            self._places.append(_Place(block, i * size, lane))

    def train(self, batches: Sequence[Tensor], rates: Tensor) -> Tensor:
        """Make a step of every run on each batch, as `Block.step` does.

        A block makes all its steps before the next one of its lane: what they need stays in the
        cache, and no thread waits for another.

        Args:
            batches: the examples of each step's batch: `[B]`, or `[places, B]` where each run has
                batches of its own.
            rates: `[steps, places, 1]`; a place of the blocks holds the row that `filled` says.

        Returns:
            The sum of the losses before each step, `[places]` (no sync).
        """
        data = self._task.train

        def train(place: _Place) -> Tensor:
            mine, block = place.rows, place.block
            losses = torch.zeros(len(block.params), device=block.params.device)
            for batch, rate in zip(batches, rates, strict=True):
                if self._stopped:
                    break
                chosen = batch[mine] if self.own_batches else batch
                inputs, targets = data.inputs[chosen], data.targets[chosen]
                losses += place.lane.stepper(block, inputs, targets, rate[mine])
            return losses

        return torch.cat(self._each(train))

    def frees(self, rows: int) -> bool:
        """Say whether fewer blocks would hold so many runs."""
        if self._size is None:
            return rows < self._rows
        return ceil(rows / self._size) < len(self._places)

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

        def evaluate(place: _Place) -> tuple[Tensor, Tensor]:
            params = place.block.params.detach()[: self._rows - place.first]
            return place.lane.template.evaluate(params, split)

        losses, right = (torch.cat(parts) for parts in zip(*self._each(evaluate), strict=True))
        return losses, right

    def _each(self, work: Callable[[_Place], T]) -> list[T]:
        """Do something with each block: the lanes at the same time, each with its own in turn."""
        places, lanes = self._places, min(len(self._lanes), len(self._places))
        if lanes == 1:
            return [work(place) for place in places]
        done: list[T | None] = [None] * len(places)

        def of_lane(lane: int) -> None:
            for i in range(lane, len(places), lanes):
                done[i] = work(places[i])

        count = torch.get_num_threads()
        with ThreadPoolExecutor(lanes, initializer=lambda: torch.set_num_threads(count)) as pool:
            futures = [pool.submit(of_lane, lane) for lane in range(lanes)]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
            finally:
                self._stopped = not all(future.done() for future in futures)
            for future in futures:
                future.result()
        return cast("list[T]", done)


def own_rows(rows: Tensor, runs: int) -> Tensor:
    """Give runs batches of their own for a measurement: those rows `[B]`, each rolled on by one.

    >>> own_rows(torch.tensor([4, 5, 6]), 2).tolist()
    [[4, 5, 6], [6, 4, 5]]
    """
    return torch.stack([rows.roll(i) for i in range(runs)])


def _has_rows(value: object) -> bool:
    return isinstance(value, Tensor) and value.dim() > 0


def _copied(value: object) -> object:
    return value.clone() if isinstance(value, Tensor) else value
