"""Stack: K models of one task as rows of one parameter [K, P], stepped by a real torch optimizer.

    params [K, P] --vmap(grad_and_value)--> grads [K, P], losses [K]
    one optimizer with lr = 1:  params -> params + update
    the rate of each job:       params + rate[k] * update[k]

This equals K optimizers with rates of their own wherever an update is elementwise and linear in
`lr`: SGD, Adam, AdamW, NAdam, RAdam. The rows of a stack lie in blocks of equal size, so that one
compiled step serves all blocks; when jobs end, the others move together, and blocks become free.
Blocks do not depend on each other, so several threads can train at the same time: a lane is what
one thread needs to train its blocks.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from math import ceil
from typing import Any, TypeAlias, TypeVar, cast

import torch
from torch import Tensor, nn

from schedsearch.compat import bare_step
from schedsearch.tasks.split import Split
from schedsearch.tasks.task import Task
from schedsearch.training.fused.flat_model import Gradients, Template
from schedsearch.training.optimizers import OptimizerSpec


class Block:
    """Rows of a stack that are stepped together, by one optimizer.

    Args:
        gradients: the function of the rows' gradients (see `Template.gradients`).
        params: `[K, P]`, one row for each job.
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
        self._optimizer_step = bare_step(self.optimizer)
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
        """Make one step of every job, each at its own rate.

        Args:
            inputs: `[B, ...]` for all jobs, or `[K, B, ...]` when each job has its own batch.
            targets: `[B]` or `[K, B]`.
            rates: `[K, 1]`, on the device.

        Returns:
            The losses `[K]` before the step.
        """
        now = self.params.detach()
        grads, losses = self._gradients(now, inputs, targets)
        if self.params.grad is not None and torch.compiler.is_compiling():
            self.params.grad.copy_(grads)  # a new .grad would break up the compiled graph
        else:
            self.params.grad = grads
        with torch.no_grad():
            before = now.clone()
            self._optimizer_step(self.optimizer)
            self.params.copy_(torch.lerp(before, self.params, rates))
        return losses


Stepper: TypeAlias = Callable[[Block, Tensor, Tensor, Tensor], Tensor]
"""Makes a step of a block: `Block.step` itself, or a compiled step."""

T = TypeVar("T")


@dataclass(frozen=True)
class Lane:
    """What one thread trains its blocks with: the code of a model, and what makes a step."""

    template: Template
    stepper: Stepper = Block.step


def plain_lanes(task: Task, count: int = 1) -> list[Lane]:
    """Return lanes whose steps are not compiled.

    A model that draws random numbers gets one lane, whatever the count: all jobs draw from one
    stream of random numbers, in a fixed order.
    """
    first = Template(task)
    more = 0 if first.draws else count - 1
    return [Lane(first), *(Lane(Template(task)) for _ in range(more))]


@dataclass(frozen=True)
class _Place:
    """The place of a block in its stack: its first row, and the lane that trains it."""

    block: Block
    first: int
    lane: Lane

    @property
    def rows(self) -> slice:
        return slice(self.first, self.first + len(self.block.params))


class Stack:
    """K jobs of one task, trained together.

    Args:
        lanes: one for each thread that trains blocks; blocks are dealt to the lanes in turn.
        seeds: the seed of each job's weights.
        optimizer: a fusable optimizer.
        block: rows of a block (default: all).
        own: whether each job has batches of its own (default: where seeds differ).
        fill: whether the last block is filled up with copies, for a step compiled for one size.
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
    def draws(self) -> bool:
        """Whether the model draws random numbers while it trains."""
        return self._lanes[0].template.draws

    @property
    def blocks(self) -> list[Block]:
        """The blocks, in order."""
        return [place.block for place in self._places]

    @property
    def params(self) -> Tensor:
        """The weights of the jobs, `[K, P]`."""
        return torch.cat([block.params.detach() for block in self.blocks])[: self._rows]

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights."""
        return self.blocks[0].dtype

    def _hold(self, params: Tensor, state: dict[str, Any]) -> None:
        """Lay out rows in blocks; a value of the state that has no rows is copied to each block."""
        self._rows = len(params)
        size = self._size or len(params)
        places = ceil(len(params) / size) * size if self._fill else len(params)
        filled = torch.arange(places) % len(params)
        parts = torch.split(filled.to(params.device), size)
        self.filled = filled.tolist()  # the row that lies at each place of the blocks
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
        """Make a step of every job on each batch, as `Block.step` does.

        A block makes all its steps before its lane begins the next block: the block's data stay in
        the cache, and no thread waits for another.

        Args:
            batches: the row numbers of each step's batch: `[B]`, or `[places, B]` where each job
                has batches of its own.
            rates: `[steps, places, 1]`; at each place of the blocks lies the row in `filled`.

        Returns:
            The sum of the losses before each step, `[places]` (no sync).
        """
        data = self._task.train
        assert isinstance(data, Split)

        def train(place: _Place) -> Tensor:
            mine, block = place.rows, place.block
            losses = torch.zeros(len(block.params), device=block.params.device)
            for batch, rate in zip(batches, rates, strict=True):
                if self._stopped:
                    break
                chosen = batch[mine] if self.own_batches else batch
                inputs, targets = data.take(chosen)
                losses += place.lane.stepper(block, inputs, targets, rate[mine])
            return losses

        return torch.cat(self._each(train))

    def frees(self, rows: int) -> bool:
        """Return whether this number of rows would need fewer blocks."""
        if self._size is None:
            return rows < self._rows
        return ceil(rows / self._size) < len(self._places)

    def keep(self, rows: Sequence[int]) -> None:
        """Keep these rows and drop the others; the kept rows train on exactly as before."""
        index = torch.tensor(rows, device=self.blocks[0].params.device)
        states = [block.state for block in self.blocks]
        state = {
            name: torch.cat([s[name] for s in states])[index] if _has_rows(value) else value
            for name, value in states[0].items()
        }
        self._hold(self.params[index], state)

    def evaluate(self) -> dict[str, Tensor]:
        """Return the loss and the metrics `[K]` of the jobs on the validation split (no sync)."""

        def evaluate(place: _Place) -> dict[str, Tensor]:
            params = place.block.params.detach()[: self._rows - place.first]
            return place.lane.template.evaluate(params)

        each = self._each(evaluate)
        return {name: torch.cat([values[name] for values in each]) for name in each[0]}

    def _each(self, work: Callable[[_Place], T]) -> list[T]:
        """Apply `work` to each block: lanes in parallel, the blocks of a lane in turn."""
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


def own_rows(rows: Tensor, jobs: int) -> Tensor:
    """Return a batch for each job, for a measurement: the rows `[B]`, rolled on by one.

    >>> own_rows(torch.tensor([4, 5, 6]), 2).tolist()
    [[4, 5, 6], [6, 4, 5]]
    """
    return torch.stack([rows.roll(i) for i in range(jobs)])


def _has_rows(value: object) -> bool:
    return isinstance(value, Tensor) and value.dim() > 0


def _copied(value: object) -> object:
    return value.clone() if isinstance(value, Tensor) else value
