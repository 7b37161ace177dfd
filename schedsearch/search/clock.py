"""Clock: where the seconds of a search go."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


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
        """Add the time of a block to a part; a block inside another counts for itself alone."""
        started = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - started
            setattr(self, part, getattr(self, part) + seconds)
            if self._open:
                setattr(self, self._open[-1], getattr(self, self._open[-1]) - seconds)

    @contextmanager
    def around_training(self) -> Iterator[None]:
        """Measure training; what is stored meanwhile is taken out of it."""
        with self.measure("training"):
            self._open.append("training")
            try:
                yield
            finally:
                self._open.pop()
