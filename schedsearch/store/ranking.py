"""Which trial is best so far: finished, not pruned, not diverged."""

from collections.abc import Iterable
from typing import TypeVar

from optuna.trial import TrialState

from schedsearch.objective import Objective
from schedsearch.store.records import Read, read_result

Trial = TypeVar("Trial", bound=Read)


def comparable(trial: Read) -> bool:
    """Return whether a trial ran its whole horizon and did not diverge."""
    return trial.state == TrialState.COMPLETE and read_result(trial).get("diverged") is False


def best_trial(trials: Iterable[Trial], objective: Objective) -> Trial | None:
    """Return the trial with the best final value; the earlier one of two that are equal."""
    best: Trial | None = None
    for trial in trials:
        if comparable(trial) and (
            best is None or objective.better(_value(trial, objective), _value(best, objective))
        ):
            best = trial
    return best


def _value(trial: Read, objective: Objective) -> float:
    return objective.of(read_result(trial))
