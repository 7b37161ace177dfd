"""Trials that train one schedule on one seed: what they train, and how they are found by it."""

from collections.abc import Sequence
from typing import TypeAlias

from optuna.trial import FrozenTrial

from schedsearch.store.records import PREFIX, read_schedule

SEED = f"{PREFIX}seed"
Pair: TypeAlias = tuple[str, int]
"""A schedule, as JSON, and a seed."""


def pair_of(trial: FrozenTrial) -> Pair | None:
    """Return what a trial trains, a schedule on a seed; None for a trial of another kind."""
    schedule, seed = read_schedule(trial), trial.system_attrs.get(SEED)
    return None if schedule is None or seed is None else (schedule.to_json(), seed)


def by_pair(trials: Sequence[FrozenTrial]) -> dict[Pair, FrozenTrial]:
    """Return trials by what they train; of two that train the same, the first."""
    found: dict[Pair, FrozenTrial] = {}
    for trial in sorted(trials, key=lambda t: t.number):
        pair = pair_of(trial)
        if pair is not None:
            found.setdefault(pair, trial)
    return found
