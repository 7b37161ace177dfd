"""What is written of trials: the values that a sampler gave them, and how they ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isnan
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import TrialState


@dataclass(frozen=True)
class Sampled:
    """What a sampler gave a trial.

    Args:
        trial_id: the trial.
        params: its parameters.
        distributions: what each of them was drawn from.
        system_attrs: attributes of Optuna's and of ours; those of the same name are replaced.
    """

    trial_id: int
    params: Mapping[str, Any]
    distributions: Mapping[str, BaseDistribution]
    system_attrs: Mapping[str, Any]


@dataclass(frozen=True)
class Finished:
    """How a trial ended; only one that was pruned may have no value.

    Args:
        trial_id: the trial.
        state: the state that it ends in.
        value: its final value.
        system_attrs: its schedule, result and curve; see `records`.
        user_attrs: what the dashboard shows of it.
        intermediate_values: step -> the value that was reported there.

    Raises:
        ValueError: the state is none that a trial ends in, or the value can't be stored.
    """

    trial_id: int
    state: TrialState
    value: float | None
    system_attrs: Mapping[str, Any]
    user_attrs: Mapping[str, Any]
    intermediate_values: Mapping[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.state.is_finished():
            raise ValueError(f"a trial does not end as {self.state.name}")
        if self.value is None and self.state == TrialState.COMPLETE:
            raise ValueError("a trial that is complete has a value")
        if self.value is not None and isnan(self.value):
            raise ValueError("a trial's value can't be NaN: no database gives it back")
