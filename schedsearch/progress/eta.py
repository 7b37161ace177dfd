"""Pace: the progress of a call as a time left and as a small curve."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite, log

BLOCKS = "▁▂▃▄▅▆▇█"
_WORTH_A_LOG = 5.0  # the largest value over the smallest
_SAMPLES = 64  # the newest samples: half a minute or more


@dataclass
class Pace:
    """Estimates the time left from how fast the number of planned steps falls.

    It also falls when trainings diverge and when other processes train: the estimate assumes that
    this goes on. Only the newest samples count, because phases differ in their speed.
    """

    _seen: deque[tuple[float, int]] = field(
        init=False, default_factory=lambda: deque(maxlen=_SAMPLES)
    )

    def saw(self, now: float, steps_left: int) -> None:
        """Record the steps that are still planned at a time, in seconds of any clock."""
        self._seen.append((now, steps_left))

    def seconds_left(self, now: float) -> float | None:
        """Return the seconds that are left; None while unknown, or after the estimate ran out.

        >>> pace = Pace()
        >>> pace.saw(0.0, 1000)
        >>> pace.seconds_left(0.0) is None
        True
        >>> pace.saw(10.0, 800)
        >>> pace.seconds_left(10.0), pace.seconds_left(15.0)
        (40.0, 35.0)
        >>> pace.seconds_left(51.0) is None
        True
        """
        if len(self._seen) < 2:
            return None
        (began, most), (last, left) = self._seen[0], self._seen[-1]
        if most <= left or last <= began:
            return None
        due = left * (last - began) / (most - left) - (now - last)
        return due if due > 0 else None


def time_left(seconds: float | None) -> str:
    """Return the time left in words, only as exact as the estimate.

    >>> time_left(None), time_left(7.2), time_left(61), time_left(3900), time_left(200_000)
    ('', 'about 8 s left', 'about 2 min left', 'about 1 h 05 min left', 'about 55 h left')
    """
    if seconds is None:
        return ""
    if seconds <= 59:
        return f"about {int(-(-seconds // 1))} s left"
    minutes = int(-(-seconds // 60))
    if minutes < 60:
        return f"about {minutes} min left"
    hours = f"{minutes // 60} h" + (f" {minutes % 60:02d} min" if minutes < 600 else "")
    return f"about {hours} left"


def spark(values: Sequence[float], width: int = 16) -> str:
    """Return values as blocks of different heights, oldest first; on a log scale if they span one.

    If there are more values than blocks, each block shows the last value of its part.

    >>> spark([0.8, 0.4, 0.2, 0.1]), spark([1, 2, 3], width=2), spark([7.0]), spark([])
    ('█▆▃▁', '▁█', '▁', '')
    """
    known = [value for value in values if isfinite(value)]
    if len(known) > width:
        known = [known[(i + 1) * len(known) // width - 1] for i in range(width)]
    if known and min(known) > 0 and max(known) > _WORTH_A_LOG * min(known):
        known = [log(value) for value in known]
    low = min(known, default=0.0)
    span = max(known, default=0.0) - low
    top = len(BLOCKS) - 1
    return "".join(BLOCKS[round((value - low) / span * top) if span else 0] for value in known)
