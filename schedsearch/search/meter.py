"""Meter: the optimizer steps that a call still has ahead of it, told of while runs are trained."""

import time
from dataclasses import dataclass, field

from schedsearch.search.events import Ahead, OnEvent

TELL_SECONDS = 0.5


@dataclass
class Meter:
    """Counts the steps that are planned still; tells of them when runs begin, and now and then.

    Args:
        on_event: told of them.
        after: the steps of the phases that follow this one.
    """

    on_event: OnEvent
    after: int = 0
    _steps: int = field(init=False, default=0)
    _left: list[int] = field(init=False, default_factory=list)  # of each run that is trained now
    _later: int = field(init=False, default=0)
    _told: float = field(init=False, default=0.0)

    def begin(self, runs: int, steps: int, later: int) -> None:
        """Begin so many runs of so many steps; `later` are those of this phase's other runs."""
        self._steps, self._left, self._later = steps, [steps] * runs, later
        self._tell(time.monotonic())

    def at(self, index: int, step: int) -> None:
        """Note that a run has come to a step."""
        self._left[index] = max(0, self._steps - step)
        now = time.monotonic()
        if now - self._told >= TELL_SECONDS:
            self._tell(now)

    def end(self, index: int) -> None:
        """Note that a run has ended, at its last step or before."""
        self.at(index, self._steps)

    def _tell(self, now: float) -> None:
        self._told = now
        self.on_event(Ahead(sum(self._left) + self._later + self.after))
