"""Family: a kind of schedule, with its search space and its builder; and the span it fills."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from schedsearch.errors import ScheduleError, unknown
from schedsearch.horizon import whole_steps
from schedsearch.schedules.params import Param, Value, active

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler


@dataclass(frozen=True)
class Span:
    """The steps of a schedule's body, and the peak rate of each parameter group.

    Args:
        total_steps: how often the body will be stepped: the horizon without the warm-up.
        peaks: the peak rate of each parameter group.
    """

    total_steps: int
    peaks: tuple[float, ...]

    def steps(self, frac: float) -> int:
        """Return a fraction of the span in whole steps, at least one."""
        return whole_steps(frac, self.total_steps)

    def times(self, factor: float) -> list[float]:
        """Return the rate of each group at a factor of its peak."""
        return [factor * peak for peak in self.peaks]

    def at_least(self, steps: int, who: str) -> None:
        """Raise ScheduleError if the span has fewer steps."""
        if self.total_steps < steps:
            raise ScheduleError(
                f"{who} needs at least {steps} steps after the warm-up, not {self.total_steps}"
            )


Builder: TypeAlias = "Callable[[Optimizer, Mapping[str, Any], Span], LRScheduler]"


@dataclass(frozen=True)
class Family:
    """A kind of schedule: everything that the package knows about it, in one record.

    Args:
        name: its shape, or torch's class name where the class is the shape; for a family of your
            own, `"package.module:ATTRIBUTE"`.
        about: one sentence, with its source.
        params: its parameters, with their search space.
        body: builds the real scheduler that is stepped at every step; None if the rate changes
            with a metric only.
        torch_class: the torch class that `body` builds, as tables show it.
        formula: the factor of the peak rate at `t`, the fraction of the horizon that is over.
        plateau: whether it also steps a ReduceLROnPlateau on a metric at each evaluation.
        rises: whether it begins with a rise of its own; a search puts no warm-up in front of it.
        one_rate: whether the torch class has one absolute rate for all parameter groups.
        look: its place among the colours and dashes of figures; None to choose one by its name.
        key: the text that seeds are derived from (default: the name); a renamed family keeps its
            old name here, and so draws the same values as before.
    """

    name: str
    about: str
    params: tuple[Param, ...]
    body: "Builder | None"
    torch_class: str = ""
    formula: str = ""
    plateau: bool = False
    rises: bool = False
    one_rate: bool = False
    look: int | None = None
    key: str = ""

    @property
    def seed_key(self) -> str:
        """The text that the seeds of its trials are derived from."""
        return self.key or self.name

    def checked(self, given: Mapping[str, Any]) -> dict[str, Value]:
        """Return all parameters, checked, in the family's order; missing ones get their defaults.

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
