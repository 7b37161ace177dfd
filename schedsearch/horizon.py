"""Whole steps out of fractions of a horizon, or of epochs: the one place that rounds lengths."""

from dataclasses import dataclass
from math import ceil, isfinite

from schedsearch.errors import ScheduleError

MOST_EPOCHS = 1e9


@dataclass(frozen=True)
class Unit:
    """The unit in which a study counts its trainings: optimizer steps, or epochs of so many.

    Args:
        steps_per_epoch: the optimizer steps of an epoch, where epochs are counted.

    >>> Unit().say(600), Unit(18.0).say(45), Unit(18.0).say(18)
    ('600 steps', '2.5 epochs', '1 epoch')
    """

    steps_per_epoch: float | None = None

    @property
    def name(self) -> str:
        """Its name: "step" or "epoch"."""
        return "step" if self.steps_per_epoch is None else "epoch"

    def of(self, steps: float) -> float:
        """Return a number of steps in this unit."""
        return steps if self.steps_per_epoch is None else steps / self.steps_per_epoch

    def number(self, steps: int) -> str:
        """Return a number of steps in this unit, as text of at most three figures for epochs."""
        if self.steps_per_epoch is None:
            return str(steps)
        count = self.of(steps)
        return f"{count:.3g}" if count < 1e3 else f"{count:.0f}"

    def say(self, steps: int) -> str:
        """Return a number of steps in words."""
        number = self.number(steps)
        return f"{number} {self.name}{'s' * (number != '1')}"

    def say_both(self, steps: int) -> str:
        """Return a number of steps in words, epochs with their steps.

        >>> Unit().say_both(600), Unit(18.0).say_both(540)
        ('600 steps', '30 epochs (540 steps)')
        """
        return self.say(steps) + f" ({steps} steps)" * (self.steps_per_epoch is not None)

    def key(self, steps: int) -> str:
        """Return what a study file says where it has this horizon.

        >>> Unit().key(600), Unit(18.0).key(540)
        ('total_steps = 600', 'epochs = 30')
        """
        return f"{'total_steps' if self.name == 'step' else 'epochs'} = {self.number(steps)}"

    def steps(self, count: float) -> int:
        """Return the whole steps of a number in this unit, at least one.

        >>> Unit(18.0).steps(2.5), Unit().steps(40)
        (45, 40)
        """
        return max(1, round(count * (self.steps_per_epoch or 1)))


STEPS = Unit()


def horizon_of(
    total_steps: int | None,
    epochs: float | None,
    steps_per_epoch: float | None,
    step_unit: str = "step",
) -> int:
    """Return how often a scheduler is stepped in a training, given in steps or in epochs.

    Args:
        total_steps: how often; None where epochs are given.
        epochs: passes over the training data.
        steps_per_epoch: optimizer steps of an epoch; not needed where the scheduler counts epochs.
        step_unit: what the scheduler's step counts, "step" or "epoch".

    Raises:
        ScheduleError: neither is given, or both, or a number that is not allowed.

    >>> horizon_of(None, 2.5, 18), horizon_of(None, 30, None, "epoch"), horizon_of(45, None, None)
    (45, 30, 45)
    """
    if epochs is None:
        if total_steps is None:
            raise ScheduleError("say total_steps=, or epochs= and steps_per_epoch=")
        if isinstance(total_steps, bool) or not isinstance(total_steps, int) or total_steps < 1:
            raise ScheduleError(
                f"total_steps = {total_steps!r}: a whole number from 1 up is needed"
            )
        return total_steps
    if total_steps is not None:
        raise ScheduleError(f"total_steps = {total_steps} and epochs = {epochs}: say one of them")
    _refuse_count("epochs", epochs)
    if step_unit == "epoch":
        return ceil(epochs)
    if steps_per_epoch is None:
        raise ScheduleError("epochs= needs steps_per_epoch=: the batches of an epoch, len(loader)")
    _refuse_count("steps_per_epoch", steps_per_epoch)
    return Unit(steps_per_epoch).steps(epochs)


def _refuse_count(name: str, value: object) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not isfinite(value) or not 0 < value <= MOST_EPOCHS:  # type: ignore[arg-type, operator]
        raise ScheduleError(f"{name} = {value!r}: a number above 0 is needed (at most 1e9)")


def whole_steps(frac: float, total_steps: int) -> int:
    """Return the nearest whole number of steps to a fraction of the horizon, at least one.

    >>> whole_steps(0.25, 600), whole_steps(0.001, 600)
    (150, 1)
    """
    return max(1, round(frac * total_steps))


def warmup_steps(frac: float, total_steps: int) -> int:
    """Return the length of a warm-up in steps; the warm-up and the body each need one step.

    Raises:
        ScheduleError: the horizon is too short for a warm-up of this fraction.

    >>> warmup_steps(0.05, 600)
    30
    """
    steps = round(frac * total_steps)
    if frac > 0 and not 1 <= steps < total_steps:
        raise ScheduleError(
            f"a horizon of {total_steps} steps is too short for a warm-up of {frac:g} of it: "
            f"the warm-up would be {steps} steps (it needs at least 1, and the body behind it too)"
        )
    return steps


def evaluation_steps(total_steps: int, evals: int) -> tuple[int, ...]:
    """Return the steps after which a training is evaluated: evenly spread, the last at the end.

    Raises:
        ScheduleError: fewer steps than evaluations, or none.

    >>> evaluation_steps(10, 3)
    (3, 7, 10)
    """
    if evals < 1 or total_steps < evals:
        raise ScheduleError(
            f"{evals} evaluations do not fit into {total_steps} steps: "
            "at least one evaluation, and at least one step for each"
        )
    return tuple(round(i * total_steps / evals) for i in range(1, evals + 1))
