"""How often a confirmation names a winner: among equals, and where one is clearly ahead."""

import numpy as np

from schedsearch.statistics.compare import compare

SIMULATIONS = 200
SEEDS, SCHEDULES = 8, 6


def named(noise: float, gap: float, simulations: int = SIMULATIONS) -> int:
    """Count the simulated confirmations that name the true winner; with no gap, any winner.

    Args:
        noise: the standard deviation of a loss over seeds.
        gap: by how much the first schedule is ahead of all the others, which are equal.
        simulations: how many.
    """
    random, count = np.random.default_rng(0), 0
    for _ in range(simulations):
        losses = random.normal(0.0, noise, (SCHEDULES, SEEDS))
        losses[0] -= gap
        found = compare(losses)
        count += found.better and (gap == 0 or found.winner == 0)
    return count


def rows(noises: dict[str, float]) -> list[list[str]]:
    """Return a row a task: its seed noise, winners named among equals, and with a true lead."""
    return [
        [
            task,
            f"{noise:.4f}",
            f"{named(noise, 0.0)} of {SIMULATIONS}",
            f"{named(noise, 2 * noise)} of {SIMULATIONS}",
        ]
        for task, noise in noises.items()
    ]
