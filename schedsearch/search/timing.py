"""Where the seconds of a search go, and how many optimizer steps a call still has ahead of it."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from schedsearch.search.events import Ahead, OnEvent
from schedsearch.training.recipe import Job

TELL_SECONDS = 0.5


@dataclass
class Clock:
    """Where the seconds of a search went: what is not training is the harness's."""

    training: float = 0.0
    sampling: float = 0.0
    storing: float = 0.0
    trials: int = 0
    _open: list[str] = field(default_factory=list)

    @contextmanager
    def measure(self, part: str) -> Iterator[None]:
        """Add the time of a block to a part; the time of a block inside another counts once."""
        started = time.perf_counter()
        self._open.append(part)
        try:
            yield
        finally:
            self._open.pop()
            seconds = time.perf_counter() - started
            setattr(self, part, getattr(self, part) + seconds)
            if self._open:  # it is not the outer block's
                setattr(self, self._open[-1], getattr(self, self._open[-1]) - seconds)


@dataclass
class Meter:
    """Counts the optimizer steps that are planned still, and tells of them now and then.

    Args:
        on_event: told of the steps: when jobs are handed out, and twice a second meanwhile.
        after: the steps of the phases that follow this one.
    """

    on_event: OnEvent
    after: int = 0
    _left: dict[Job, int] = field(init=False, default_factory=dict)  # of each job in training
    _later: int = field(init=False, default=0)
    _told: float = field(init=False, default=0.0)

    def begin(self, jobs: Sequence[Job], later: int) -> None:
        """Begin jobs; `later` are the steps of this phase's jobs that are not handed out yet."""
        self._left |= {job: job.end for job in jobs}
        self._later = later
        self._tell(time.monotonic())

    def at(self, job: Job, step: int) -> None:
        """Note that a job has come to a step."""
        self._left[job] = max(0, job.end - step)
        now = time.monotonic()
        if now - self._told >= TELL_SECONDS:
            self._tell(now)

    def end(self, job: Job) -> None:
        """Note that a job has ended, at its last step or before."""
        self.at(job, job.end)
        del self._left[job]

    def _tell(self, now: float) -> None:
        self._told = now
        self.on_event(Ahead(sum(self._left.values()) + self._later + self.after))
