"""Which trial is best so far: finished, not pruned, not diverged."""

from collections.abc import Iterable
from typing import Literal

from optuna.trial import FrozenTrial, TrialState

from schedsearch.storage.records import read_result

Objective = Literal["val_loss", "val_accuracy"]


def comparable(trial: FrozenTrial) -> bool:
    """Say whether a trial ran its whole horizon and did not diverge."""
    return trial.state == TrialState.COMPLETE and read_result(trial).get("diverged") is False


def better(value: float, than: float, objective: Objective) -> bool:
    """Say whether a value is better than another.

    >>> better(0.1, 0.2, "val_loss"), better(0.9, 0.8, "val_accuracy")
    (True, True)
    """
    return value < than if objective == "val_loss" else value > than


def best_trial(trials: Iterable[FrozenTrial], objective: Objective) -> FrozenTrial | None:
    """Return the trial with the best final value; the earlier one of two that are equal."""
    best: FrozenTrial | None = None
    for trial in trials:
        if comparable(trial) and (
            best is None
            or better(read_result(trial)[objective], read_result(best)[objective], objective)
        ):
            best = trial
    return best
