"""The gradient steps that a search took, beside those of training all of its trials in full."""

from dataclasses import dataclass

import pandas as pd

_OVER = ("finished", "diverged", "pruned")


@dataclass(frozen=True)
class Compute:
    """What a search took.

    Args:
        spent_steps: optimizer steps at all rungs, of the trials that are over.
        full_steps: what the same trials would take if each were trained at the full horizon.
        trials: so many.
        finished: those that reached the full horizon.
        pruned: those that stayed behind.
        diverged: those that diverged.
    """

    spent_steps: int
    full_steps: int
    trials: int
    finished: int
    pruned: int
    diverged: int

    @property
    def sentence(self) -> str:
        """All of it in a sentence.

        >>> Compute(3600, 16200, 27, 3, 23, 1).sentence
        '3,600 gradient steps, 22 % of training all 27 trials in full (3 were, 23 stayed behind at \
a rung, 1 diverged)'
        """
        share = self.spent_steps / self.full_steps if self.full_steps else 0.0
        return (
            f"{self.spent_steps:,} gradient steps, {share:.0%} of training all {self.trials} "
            f"trials in full ({self.finished} were, {self.pruned} stayed behind at a rung, "
            f"{self.diverged} diverged)"
        ).replace("%", " %")


def compute_of(trials: pd.DataFrame, total_steps: int) -> Compute:
    """Sum up the frame of a run's trials; those that wait or run count for nothing."""
    over = trials[trials["state"].isin(_OVER)]
    states = {state: int((over["state"] == state).sum()) for state in _OVER}
    spent = int(over["spent_steps"].sum())
    return Compute(spent, len(over) * total_steps, len(over), **states)
