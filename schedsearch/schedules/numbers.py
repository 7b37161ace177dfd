"""Read numbers and ranges that a person gave, or say what is wrong with them."""

import math

from schedsearch.errors import ScheduleError


def number_in(where: str, value: object) -> float:
    """Return a value as a finite float.

    Raises:
        ScheduleError: a value that is no number, or not finite.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ScheduleError(f"{where} must be a number, not {value!r}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ScheduleError(f"{where} must be finite, not {str(value)[:40]}")
    return number + 0.0  # -0.0 becomes 0.0: equal values look equal


def range_in(where: str, value: object) -> tuple[float, float]:
    """Return the range `[low, high]` of a study file; one number is both ends.

    Raises:
        ScheduleError: something else, or ends in the wrong order.
    """
    both = list(value) if isinstance(value, list | tuple) else [value, value]
    if len(both) != 2:
        raise ScheduleError(f"{where} must be [low, high] or one number, not {value!r}")
    low, high = (number_in(where, v) for v in both)
    if low > high:
        raise ScheduleError(f"{where}: low {low:g} is above high {high:g}")
    return low, high
