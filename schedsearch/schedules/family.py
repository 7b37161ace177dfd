"""Family: a kind of schedule, with its search space and its builder; and what a builder is told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from schedsearch.errors import ScheduleError, unknown
from schedsearch.horizon import whole_steps
from schedsearch.schedules.params import Param, Value, active


@dataclass(frozen=True)
class Span:
    """What a builder is told of the run: the body's steps, and the peak rate of each group."""

    total_steps: int
    peaks: tuple[float, ...]

    def steps(self, frac: float) -> int:
        """Give the whole steps of a fraction of the run, at least one."""
        return whole_steps(frac, self.total_steps)

    def times(self, factor: float) -> list[float]:
        """Give the rate of each group at a factor of its peak."""
        return [factor * peak for peak in self.peaks]

    def at_least(self, steps: int, who: str) -> None:
        """Raise ScheduleError for a horizon of fewer steps."""
        if self.total_steps < steps:
            raise ScheduleError(
                f"{who} needs at least {steps} steps after the warm-up, not {self.total_steps}"
            )


Builder = Callable[[Optimizer, Mapping[str, Any], Span], LRScheduler]


@dataclass(frozen=True)
class Family:
    """A kind of schedule.

    Args:
        name: the torch class's name; for a family of your own, `"package.module:ATTRIBUTE"`.
        about: one sentence, with its source.
        params: the search space.
        body: builds the real scheduler that is stepped per step; None where only a metric acts.
        plateau: also steps a ReduceLROnPlateau on a metric at each evaluation.
        rises: begins with a rise of its own, so a search puts no warm-up in front of it.
        one_rate: the torch class has one absolute rate for all parameter groups.
    """

    name: str
    about: str
    params: tuple[Param, ...]
    body: Builder | None
    plateau: bool = False
    rises: bool = False
    one_rate: bool = False

    def checked(self, given: Mapping[str, Any]) -> dict[str, Value]:
        """Return all parameters, checked, in the family's order; what is not given is the default.

        Raises:
            ScheduleError: an unknown parameter, or a value outside its limits.
        """
        names = [p.name for p in self.params]
        for name in given:
            if name not in names:
                raise ScheduleError(unknown(f"parameter of {self.name}", name, names))
        checked: dict[str, Value] = {}
        for param in self.params:
            where = f"{self.name}.{param.name}"
            if active(param, checked):
                checked[param.name] = param.check(given.get(param.name, param.default), where)
            elif param.name in given and param.when is not None:
                other, value = param.when
                raise ScheduleError(f"{where} has a meaning only when {other} is {value!r}")
        return checked
