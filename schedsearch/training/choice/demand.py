"""Demand: what is to be trained, as far as the choice of a way depends on it."""

from dataclasses import dataclass

import torch

from schedsearch.training.choice.block_cost import Waves
from schedsearch.training.choice.way import EngineWish
from schedsearch.training.device import thread_counts


@dataclass(frozen=True)
class Demand:
    """What is to be trained, as far as the choice of a way depends on it.

    Args:
        waves: jobs that are trained together, and steps of each job, for each rung.
        steps: optimizer steps, of all jobs, that are still to be trained.
        own: whether each job has a seed, and so weights and batches, of its own.
        stack: how many jobs at once the study asks for; None: measured.
        threads: the numbers of threads worth measuring.
        cores: how many lanes can be trained at the same time.
        compiles: whether a step may be compiled, which takes longer than all other measurements.
    """

    waves: Waves
    steps: int
    own: bool
    stack: int | None
    threads: tuple[int, ...]
    cores: int
    compiles: bool

    @property
    def at_once(self) -> int:
        """The largest number of jobs that are trained together."""
        return max(jobs for jobs, _ in self.waves)


def demand_of(
    wish: EngineWish, device: torch.device, waves: Waves, steps: int, *, own: bool, compiles: bool
) -> Demand:
    """Return the demand of a study on a device."""
    counts = (wish.threads,) if wish.threads else thread_counts(device)
    cores = max(counts) if device.type == "cpu" else 1
    return Demand(waves, steps, own, wish.stack, counts, cores, compiles)
