"""Warnings of torch and of the user's libraries: told once, and at the end how often they came."""

import re
import threading
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from schedsearch.search.events import Event, Note, OnEvent

_LONGEST = 300
_MOST = 20  # kinds of warnings that are told


class _Told:
    """Counts warnings by their kind, and tells the first of each before the next event.

    Warnings come from any thread; events are told by the one that tells them anyway.
    """

    def __init__(self, on_event: OnEvent) -> None:
        self._on_event = on_event
        self._lock = threading.Lock()
        self._counts: Counter[object] = Counter()
        self._texts: dict[object, str] = {}
        self._new: list[str] = []

    def __call__(self, event: Event) -> None:
        self.tell()
        self._on_event(event)

    def show(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        """Take in a warning, in the place of `warnings.showwarning`."""
        text = " ".join(str(message).split())
        kind = (category, filename, lineno, re.sub(r"\d+", "0", text))  # a step counts for nothing
        with self._lock:
            self._counts[kind] += 1
            if kind not in self._texts and len(self._texts) < _MOST:
                where = f"{category.__name__}, {Path(filename).name}, line {lineno}"
                self._texts[kind] = f"{text[:_LONGEST]} ({where})"
                self._new.append(self._texts[kind])

    def tell(self) -> None:
        """Tell of warnings that are new."""
        with self._lock:
            new, self._new = self._new, []
        for text in new:
            self._on_event(Note(f"warning: {text}"))

    def conclude(self) -> None:
        """Tell how often each warning came that came again."""
        self.tell()
        for kind, text in self._texts.items():
            if self._counts[kind] > 1:
                self._on_event(Note(f"warning ({self._counts[kind]} times): {text}"))
        others = self._counts.keys() - self._texts.keys()
        if others:
            times = sum(self._counts[kind] for kind in others)
            self._on_event(Note(f"{len(others)} other kinds of warnings ({times} times)"))


@contextmanager
def telling_warnings(on_event: OnEvent) -> Iterator[OnEvent]:
    """Tell of warnings as notes, in the place of Python's lines on standard error.

    What the filters of warnings ignore stays ignored, and what they make an error stays one.

    Args:
        on_event: told of each kind of warning once, and at the end of its number.

    Yields:
        What is told of events inside.
    """
    told = _Told(on_event)
    with warnings.catch_warnings():
        _count_all()
        warnings.showwarning = told.show
        try:
            yield told
        finally:
            told.conclude()


def _count_all() -> None:
    """Let each warning through that would be shown, every time: Python shows some of them once."""
    filters: list[Any] = list(warnings.filters)
    warnings.resetwarnings()
    for action, message, category, module, line in filters:
        warnings.filterwarnings(
            action if action in ("error", "ignore") else "always",
            getattr(message, "pattern", message) or "",
            category,
            getattr(module, "pattern", module) or "",
            line,
            append=True,
        )
    warnings.simplefilter("always", append=True)
