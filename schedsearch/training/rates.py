"""LiveRates: the rates of one job, from its real scheduler, for an engine that trains many jobs."""

from collections.abc import Iterable, Sequence
from math import ceil
from typing import cast

from schedsearch.schedules.schedule import Schedule
from schedsearch.schedules.wrappers import PlateauLR, lead_optimizer
from schedsearch.training.curve import Evaluation


def moves_more_than_the_rate(schedule: Schedule, steps: int = 64) -> bool:
    """Return whether a schedule changes any setting of the optimizer besides the rate.

    CyclicLR and OneCycleLR move the momentum when asked to; a class of the user's own may change
    anything.
    """
    optimizer = lead_optimizer(schedule.peak_lr)
    group = optimizer.param_groups[0]
    settings = {name: group[name] for name in optimizer.defaults if name != "lr"}
    scheduler = schedule.build(optimizer, steps, evals=1)
    optimizer.step()
    for _ in range(steps - 1):
        if any(group[name] != value for name, value in settings.items()):
            return True
        scheduler.step()
    return False


class LiveRates:
    """A real torch scheduler on a small optimizer, stepped as in the reference loop.

    Args:
        schedule: the schedule.
        total_steps: the horizon, in optimizer steps.
        steps_per_epoch: optimizer steps in an epoch, for a schedule that steps once an epoch.
        evals: number of evaluations up to the horizon.
        factors: the rate of each parameter group, as a multiple of the schedule's.
    """

    def __init__(
        self,
        schedule: Schedule,
        total_steps: int,
        *,
        steps_per_epoch: int,
        evals: int,
        factors: Sequence[float] = (1.0,),
    ) -> None:
        self._monitor = schedule.monitor
        self._every = steps_per_epoch if schedule.step_unit == "epoch" else 1
        optimizer = lead_optimizer(*(schedule.peak_lr * factor for factor in factors))
        self._groups = optimizer.param_groups
        horizon = ceil(total_steps / self._every)
        self._scheduler = schedule.build(optimizer, horizon, evals=evals)
        optimizer.step()  # torch warns about a scheduler that is stepped before its optimizer

    def over(self, steps: Iterable[int]) -> list[list[float]]:
        """Return the rates of the next steps, counted from 1, and step the scheduler past them.

        Of each step, the rate of each parameter group.
        """
        rates = []
        for step in steps:
            rates.append([float(group["lr"]) for group in self._groups])
            if step % self._every == 0:
                self._scheduler.step()
        return rates

    @property
    def rate(self) -> float:
        """The rate of the next step, of the first parameter group."""
        return float(self._groups[0]["lr"])

    def tell(self, row: Evaluation) -> None:
        """Step a schedule that reacts to a metric with the values of an evaluation."""
        if self._monitor is not None:
            cast(PlateauLR, self._scheduler).step(row.value(self._monitor))
