"""Whole steps out of fractions of a horizon: the one place where lengths are rounded."""

from schedsearch.errors import ScheduleError


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
