"""Layout: how many of some runs are trained in blocks, and how many one after the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import TypeAlias

Waves: TypeAlias = Sequence[tuple[int, int]]
"""How many runs are trained at once, and the steps of each: one after the other."""


@dataclass(frozen=True)
class Layout:
    """What a step of runs costs, when blocks of one size are trained in lanes.

    A block of a compiled size costs the same however many of its rows are filled, and lanes train
    as many blocks in the time of one. So the runs that a last block would be made for may be
    cheaper one by one. Of any other block, half of the cost is taken to be that of its rows.

    Args:
        size: rows of a block.
        lanes: blocks that are trained at the same time.
        block_seconds: of a block's step.
        alone_seconds: of a step of one run by itself; 0.0: no run is trained so.
        fill: whether the last block is filled up with copies.
    """

    size: int
    lanes: int = 1
    block_seconds: float = 0.0
    alone_seconds: float = 0.0
    fill: bool = True

    def alone(self, runs: int) -> int:
        """Give how many of so many runs are trained one after the other.

        >>> layout = Layout(8, lanes=2, block_seconds=4.0, alone_seconds=1.0)
        >>> [layout.alone(runs) for runs in (3, 5, 16, 19, 27)]
        [3, 0, 0, 3, 0]
        """
        if not self.alone_seconds:
            return 0
        few = range(min(runs, self.size * self.lanes) + 1)
        return min(few, key=lambda alone: self._with_alone(runs, alone))

    def seconds(self, runs: int) -> float:
        """Give what a step of so many runs takes.

        >>> layout = Layout(8, lanes=2, block_seconds=4.0, alone_seconds=1.0)
        >>> [layout.seconds(runs) for runs in (3, 5, 16, 19, 27)]
        [3.0, 4.0, 4.0, 7.0, 8.0]
        """
        return self._with_alone(runs, self.alone(runs))

    def _with_alone(self, runs: int, alone: int) -> float:
        return self._in_blocks(runs - alone) + alone * self.alone_seconds

    def _in_blocks(self, runs: int) -> float:
        whole, rest = divmod(runs, self.size)
        blocks = ceil((whole + (rest > 0)) / self.lanes)
        last_in_part = rest > 0 and whole % self.lanes == 0 and not self.fill
        return (blocks - last_in_part * (1 - rest / self.size) / 2) * self.block_seconds


def start_size(waves: Waves, lanes: int, largest: int) -> int:
    """Guess, before any is compiled, the size of blocks that trains waves of runs fastest.

    A block's step has a cost of its own, about that of four rows (measured with a small MLP).

    Args:
        waves: the runs that are trained at once, and the steps of each.
        lanes: blocks that are trained at the same time, at most.
        largest: the most rows of a block.

    >>> start_size([(64, 600)], 2, 64), start_size([(16, 100), (4, 245), (1, 600)], 2, 64)
    (32, 4)
    """

    def cost(size: int) -> float:
        layout = Layout(size, lanes, block_seconds=size + 4)
        return sum(steps * layout.seconds(runs) for runs, steps in waves)

    sizes = [1]
    while 2 * sizes[-1] <= largest:
        sizes.append(2 * sizes[-1])
    least = min(4, sizes[-1])
    return min((size for size in sizes if size >= least), key=cost)
