"""The gradient steps of a search, compared with training all of its trials in full."""

from dataclasses import dataclass

import pandas as pd

_OVER = ("finished", "diverged", "pruned")


@dataclass(frozen=True)
class Compute:
    """The compute that a search spent.

    Args:
        spent_steps: optimizer steps of all ended trials, over all rungs.
        full_steps: optimizer steps if each of these trials were trained at the full horizon.
        trials: the number of ended trials.
        finished: trials that reached the full horizon.
        pruned: trials that were stopped at a rung.
        diverged: trials that diverged.
    """

    spent_steps: int
    full_steps: int
    trials: int
    finished: int
    pruned: int
    diverged: int

    @property
    def sentence(self) -> str:
        """All numbers in a sentence.

        >>> Compute(3600, 16200, 27, 3, 23, 1).sentence
        '3,600 gradient steps, 22 % of training all 27 trials in full (3 were, 23 stayed behind at \
a rung, 1 diverged)'
        """
        fraction = self.spent_steps / self.full_steps if self.full_steps else 0.0
        return (
            f"{self.spent_steps:,} gradient steps, {fraction:.0%} of training all {self.trials} "
            f"trials in full ({self.finished} were, {self.pruned} stayed behind at a rung, "
            f"{self.diverged} diverged)"
        ).replace("%", " %")


def compute_of(trials: pd.DataFrame, total_steps: int) -> Compute:
    """Return the compute of a frame of trials; trials that have not ended do not count."""
    over = trials[trials["state"].isin(_OVER)]
    states = {state: int((over["state"] == state).sum()) for state in _OVER}
    spent = int(over["spent_steps"].sum())
    return Compute(spent, len(over) * total_steps, len(over), **states)
