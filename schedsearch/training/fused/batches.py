"""What the rows of a stack are trained on: jobs of one seed share their batches."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TypeAlias

import torch
from torch import Tensor

from schedsearch.tasks.split import Batch, Split
from schedsearch.tasks.task import Task
from schedsearch.tasks.tree import Tree, combine, count_bytes, map_tensors

Taker: TypeAlias = Callable[[slice], Batch]
"""Returns a step's batch for some places of the blocks of a stack.

Its tensors are `[B, ...]` for all of them, or `[places, B, ...]` where each has its own.
"""

_PIECE = 200  # batches that are drawn at once, at the most
_PIECE_BYTES = 64e6  # that changed batches may take together


class StackBatches:
    """The batches of the jobs of a stack, in order.

    Without augmentation a batch is a row number for each example until a block is trained on it.
    Augmented batches are made once for all jobs of a seed, as the reference engine makes them.

    Args:
        task: what is trained.
        seeds: of the jobs.
        count: batches of a whole training.
        own: whether each job has batches of its own; otherwise all have those of the first seed.
    """

    def __init__(self, task: Task, seeds: Sequence[int], count: int, *, own: bool) -> None:
        assert isinstance(task.train, Split)
        self._split, self._own, self._augments = task.train, own, task.augment is not None
        draw = task.batches if self._augments else task.batch_indices
        wanted = seeds if own else seeds[:1]
        self._each: dict[int, Iterator[Tree]] = {s: iter(draw(s, count)) for s in set(wanted)}
        size = count_bytes(self._split.take(slice(0, task.batch_size))) if self._augments else 0
        self._size = size

    def piece(self, seeds: Sequence[int]) -> int:
        """Return how many batches may be drawn at once, for jobs of these seeds."""
        bytes_of_one = self._size * (len(set(seeds)) if self._own else 1)
        return max(1, min(_PIECE, int(_PIECE_BYTES // max(bytes_of_one, 1))))

    def draw(self, count: int, seeds: Sequence[int]) -> list[Taker]:
        """Return the next batches; in the places of the blocks lie jobs of these seeds."""
        if not self._own:
            (all_jobs,) = self._each.values()
            return [self._shared(batch) for batch in islice(all_jobs, count)]
        wanted = sorted(set(seeds))
        steps = zip(*(islice(self._each[seed], count) for seed in wanted), strict=True)
        return [self._owned(dict(zip(wanted, step, strict=True)), seeds) for step in steps]

    def _shared(self, batch: Tree) -> Taker:
        if self._augments:
            return lambda places: batch
        return lambda places: self._split.take(batch)

    def _owned(self, batches: dict[int, Tree], seeds: Sequence[int]) -> Taker:
        if self._augments:
            return lambda places: combine(torch.stack, [batches[seed] for seed in seeds[places]])
        rows = torch.stack([batches[seed] for seed in seeds])
        return lambda places: self._split.take(rows[places])


def trial_taker(task: Task, jobs: int, *, own: bool) -> Taker:
    """Return a batch to measure steps with: of each of the jobs its own, or one for all."""
    assert isinstance(task.train, Split)
    if task.augment is not None:
        batch = next(task.batches(0, 1))
        if own:
            return lambda places: own_rows(batch, len(range(*places.indices(jobs))))
        return lambda places: batch
    split, rows = task.train, next(task.batch_indices(0, 1))
    if own:
        every: Tensor = own_rows(rows, jobs)
        return lambda places: split.take(every[places])
    return lambda places: split.take(rows)


def own_rows(batch: Tree, jobs: int) -> Tree:
    """Return a batch for each job, for a measurement: the tensors `[B, ...]`, rolled on by one.

    >>> own_rows(torch.tensor([4, 5, 6]), 2).tolist()
    [[4, 5, 6], [6, 4, 5]]
    """
    return map_tensors(lambda rows: torch.stack([rows.roll(i, dims=0) for i in range(jobs)]), batch)
