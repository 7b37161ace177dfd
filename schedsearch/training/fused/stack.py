"""Stack: K jobs of one task, trained together in blocks.

The rows of a stack lie in blocks of equal size, so that one compiled step serves all blocks; when
jobs end, the others move together, and blocks become free. Blocks do not depend on each other, so
several threads can train at the same time: a lane is what one thread needs to train its blocks.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from math import ceil
from typing import TypeVar, cast

import torch
from torch import Tensor

from schedsearch.tasks.tree import Tree, combine, map_tensors
from schedsearch.training.fused.batches import Taker
from schedsearch.training.fused.block import Block, Stepper
from schedsearch.training.fused.flat_model import Template
from schedsearch.training.fused.layout import Weights
from schedsearch.training.recipe import Recipe

T = TypeVar("T")


@dataclass(frozen=True)
class Lane:
    """What one thread trains its blocks with: the code of a model, and what makes a step."""

    template: Template
    stepper: Stepper = Block.step


def plain_lanes(recipe: Recipe, count: int = 1) -> list[Lane]:
    """Return lanes whose steps are not compiled.

    A model that draws random numbers gets one lane, whatever the count: all jobs draw from one
    stream of random numbers, in a fixed order.
    """
    first = Template(recipe)
    more = 0 if first.draws else count - 1
    return [Lane(first), *(Lane(Template(recipe)) for _ in range(more))]


@dataclass(frozen=True)
class _Place:
    """The place of a block in its stack: its first row, and the lane that trains it."""

    block: Block
    first: int
    lane: Lane

    @property
    def rows(self) -> slice:
        return slice(self.first, self.first + len(self.block))


class Stack:
    """K jobs of one task, trained together.

    Args:
        lanes: one for each thread that trains blocks; blocks are dealt to the lanes in turn.
        seeds: the seed of each job's weights.
        block: rows of a block (default: all).
        own: whether each job has batches of its own (default: where seeds differ).
        fill: whether the last block is filled up with copies, for a step compiled for one size.
    """

    def __init__(
        self,
        lanes: Sequence[Lane],
        seeds: Sequence[int],
        *,
        block: int | None = None,
        own: bool | None = None,
        fill: bool = False,
    ) -> None:
        self._lanes, self._size, self._fill = lanes, block, fill
        self._stopped = False  # as soon as a lane failed, or somebody interrupts
        template = lanes[0].template
        self._recipe, self._layout = template.recipe, template.layout
        for lane in lanes:
            _ = lane.template.evaluation  # what it tries is no matter for several threads
        weights = {
            seed: map_tensors(lambda tensor: tensor.unsqueeze(0), template.weights(seed))
            for seed in sorted(set(seeds))
        }
        self.own_batches = len(weights) > 1 if own is None else own
        self._hold(_joined([weights[seed] for seed in seeds]), None)

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
    def weights(self) -> Weights:
        """The weights of the jobs."""
        whole = _joined([block.weights for block in self.blocks])
        return cast("Weights", _taken(whole, slice(self._rows)))

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights."""
        return self.blocks[0].dtype

    @property
    def factors(self) -> tuple[float, ...]:
        """The rate of each parameter group, as a multiple of the schedule's."""
        return self._layout.factors

    def _hold(self, weights: Weights, held: Tree | None) -> None:
        """Lay out rows in blocks; what has no rows is copied to each block."""
        self._rows = len(weights.params[0])
        size = self._size or self._rows
        places = ceil(self._rows / size) * size if self._fill else self._rows
        filled = torch.arange(places) % self._rows
        parts = torch.split(filled.to(weights.params[0].device), size)
        self.filled = filled.tolist()  # the row that lies at each place of the blocks
        self._places = []
        for i, rows in enumerate(parts):
            lane = self._lanes[i % len(self._lanes)]
            gradients = lane.template.gradients(own=self.own_batches)
            mine, also = _taken((weights, held), rows)
            block = Block(gradients, mine, self._layout, self._recipe, also)
            self._places.append(_Place(block, i * size, lane))

    def train(self, batches: Sequence[Taker], rates: Tensor) -> Tensor:
        """Make a step of every job on its batches, as `Block.step` does.

        A block makes all its steps before its lane begins the next block: the block's data stay in
        the cache, and no thread waits for another.

        Args:
            batches: those of each step, as many as the recipe accumulates.
            rates: `[steps, places, G]`; at each place of the blocks lies the row in `filled`.

        Returns:
            The sum of the losses before each step, `[places]` (no sync).
        """
        each = self._recipe.accumulate

        def train(place: _Place) -> Tensor:
            mine, block = place.rows, place.block
            losses = torch.zeros(len(block), device=rates.device)
            for step, rate in enumerate(rates):
                if self._stopped:
                    break
                taken = [take(mine) for take in batches[step * each : (step + 1) * each]]
                losses += place.lane.stepper(block, taken, rate[mine])
            return losses

        return torch.cat(self._each(train))

    def frees(self, rows: int) -> bool:
        """Return whether this number of rows would need fewer blocks."""
        if self._size is None:
            return rows < self._rows
        return ceil(rows / self._size) < len(self._places)

    def keep(self, rows: Sequence[int]) -> None:
        """Keep these rows and drop the others; the kept rows train on exactly as before."""
        index = torch.tensor(rows, device=self.blocks[0].params[0].device)
        whole = _joined([(block.weights, block.held) for block in self.blocks])
        self._hold(*_taken(whole, index))

    def evaluate(self, *, averaged: bool = False) -> dict[str, Tensor]:
        """Return the loss and the metrics `[K]` of the jobs on the validation split (no sync).

        Args:
            averaged: whether the averages of the weights are evaluated.
        """

        def evaluate(place: _Place) -> dict[str, Tensor]:
            block = place.block
            weights = block.averaged if averaged else block.weights
            return place.lane.template.evaluation(_taken(weights, slice(self._rows - place.first)))

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


def _joined(trees: Sequence[Tree]) -> Tree:
    """Return the rows of equal trees as one; a tensor that has no rows is that of the first."""
    return combine(lambda parts: torch.cat(parts) if parts[0].dim() else parts[0], trees)


def _taken(tree: Tree, rows: Tensor | slice) -> Tree:
    """Return some rows of the tensors of a tree; a tensor that has none is copied."""
    return map_tensors(lambda tensor: tensor[rows] if tensor.dim() else tensor.clone(), tree)
