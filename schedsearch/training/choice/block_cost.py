"""Cost model: split jobs between blocks and single jobs so that a step takes least time.

A block whose step is compiled costs the same however many of its rows hold a job, and each lane
trains a block in that time. So jobs that would start another block may be cheaper one by one. Where
the step is not compiled, a block costs less when it is filled in part: half of its cost is taken to
be in proportion to its rows.
"""

from collections.abc import Sequence
from math import ceil
from typing import TypeAlias

from schedsearch.training.choice.way import Way

Waves: TypeAlias = Sequence[tuple[int, int]]
"""(jobs that are trained together, steps of each job), for each rung: one rung after the other."""


def jobs_alone(way: Way, jobs: int) -> int:
    """Return how many of the jobs are trained one after the other instead of in a block.

    >>> way = Way("fused", block=8, lanes=2, compiled=True, block_seconds=4.0, alone_seconds=1.0)
    >>> [jobs_alone(way, jobs) for jobs in (3, 5, 16, 19, 27)]
    [3, 0, 0, 3, 0]
    """
    if not way.alone_seconds:
        return 0
    few = range(min(jobs, way.size * way.lanes) + 1)
    return min(few, key=lambda alone: _seconds_with(way, jobs, alone))


def step_seconds(way: Way, jobs: int) -> float:
    """Return the seconds of one step of all jobs, split between blocks and single jobs.

    >>> way = Way("fused", block=8, lanes=2, compiled=True, block_seconds=4.0, alone_seconds=1.0)
    >>> [step_seconds(way, jobs) for jobs in (3, 5, 16, 19, 27)]
    [3.0, 4.0, 4.0, 7.0, 8.0]
    """
    return _seconds_with(way, jobs, jobs_alone(way, jobs))


def wave_seconds(way: Way, waves: Waves) -> float:
    """Return the seconds of all steps of the waves.

    >>> way = Way("fused", block=8, lanes=2, compiled=True, block_seconds=4.0)
    >>> wave_seconds(way, [(16, 100), (17, 10)])
    480.0
    """
    return sum(steps * step_seconds(way, jobs) for jobs, steps in waves)


def first_block_size(waves: Waves, lanes: int, largest: int) -> int:
    """Return a guess, before any block is compiled, of the block size that is fastest.

    The step of a block has a fixed cost of about that of four rows (measured with a small MLP).

    Args:
        waves: jobs that are trained together, and steps of each job, for each rung.
        lanes: blocks that are trained at the same time, at most.
        largest: the largest number of rows that a block may have.

    >>> first_block_size([(64, 600)], lanes=2, largest=64)
    32
    >>> first_block_size([(16, 100), (4, 245), (1, 600)], lanes=2, largest=64)
    4
    """

    def cost(size: int) -> float:
        way = Way("fused", block=size, lanes=lanes, compiled=True, block_seconds=size + 4)
        return wave_seconds(way, waves)

    sizes = [1]
    while 2 * sizes[-1] <= largest:
        sizes.append(2 * sizes[-1])
    least = min(4, sizes[-1])
    return min((size for size in sizes if size >= least), key=cost)


def _seconds_with(way: Way, jobs: int, alone: int) -> float:
    return _block_seconds(way, jobs - alone) + alone * way.alone_seconds


def _block_seconds(way: Way, jobs: int) -> float:
    whole, rest = divmod(jobs, way.size)
    blocks = ceil((whole + (rest > 0)) / way.lanes)
    last_in_part = rest > 0 and whole % way.lanes == 0 and not way.compiled
    return (blocks - last_in_part * (1 - rest / way.size) / 2) * way.block_seconds
