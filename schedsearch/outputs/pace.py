"""Pace: how fast a call gets on, in the words and blocks that a person reads at a glance."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite, log

BLOCKS = "▁▂▃▄▅▆▇█"
_WORTH_A_LOG = 5.0  # the largest value over the smallest
_SAMPLES = 64  # of the newest: at least half a minute, or as many evaluations


@dataclass
class Pace:
    """Reckons the time left from how fast the steps that are planned become fewer.

    Runs that diverge, and what other processes train, make them fewer too: as it went on so far
    is how it is taken to go on. Only the newest part counts, for phases differ in their speed.
    """

    _seen: deque[tuple[float, int]] = field(
        init=False, default_factory=lambda: deque(maxlen=_SAMPLES)
    )

    def saw(self, now: float, steps_left: int) -> None:
        """Take in how many steps are planned still at a moment, in seconds of any clock."""
        self._seen.append((now, steps_left))

    def seconds_left(self, now: float) -> float | None:
        """Give the seconds that are left; None while that isn't known, or turned out too few.

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
    """Say a time that is left, as exactly as it is known.

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
    """Draw values as blocks, the oldest first; by factors where the values differ by such.

    Of more values than there is room for, each block shows the last of its part.

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
