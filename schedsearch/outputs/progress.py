"""What a person sees while a search goes on: a live line on a terminal, plain lines elsewhere."""

import time
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from schedsearch.search.events import AtRung, Chosen, Confirming, Event, Note, Started, Trained

_SECONDS_A_LINE = 5.0


class Display(Protocol):
    """Shows events, between `with` and its end."""

    def __enter__(self) -> "Display": ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def __call__(self, event: Event) -> None:
        """Show an event."""


def make_display(console: Console, *, quiet: bool) -> Display:
    """Choose how events are shown: not at all, live, or line by line."""
    if quiet:
        return _Quiet(console)
    return _Live(console) if console.is_terminal else _Lines(console)


def _best(event: Trained) -> str:
    if event.best_value is None:
        return "none finished yet"
    return f"best {event.best_value:.4f} {event.best_family}"


def _rung(event: AtRung) -> str:
    n = event.schedules
    return f"rung {event.rung}/{event.of}: {n} schedule{'s' * (n != 1)} at {event.horizon} steps"


class _Quiet:
    """Says only what a person should know."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __enter__(self) -> "_Quiet":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    _told: tuple[type[Note] | type[Chosen], ...] = (Note,)

    def __call__(self, event: Event) -> None:
        if isinstance(event, Note | Chosen) and isinstance(event, self._told):
            self._console.print(event.text, markup=False, highlight=False)


class _Lines(_Quiet):
    """A line every few seconds, and one for the last trial."""

    _told = (Note, Chosen)
    _started: float
    _first: int
    _last: float = 0.0
    _last_rung: float  # trials end just before a rung begins: each has its own seconds

    def __call__(self, event: Event) -> None:
        super().__call__(event)
        now = time.monotonic()
        if isinstance(event, Started):
            self._started, self._last, self._last_rung = now, now, -_SECONDS_A_LINE
            self._first = event.finished
            goes_on = f", {event.finished} finished before" if event.finished else ""
            self._say(f"{event.run}: {event.total} trials{goes_on}")
        elif isinstance(event, AtRung):
            if now - self._last_rung >= _SECONDS_A_LINE:
                self._last_rung = now
                self._say(_rung(event))
        elif isinstance(event, Trained):
            over = event.finished >= event.total
            if over or now - self._last >= _SECONDS_A_LINE:
                self._last = now
                done = max(1, event.finished - self._first)
                left = (now - self._started) / done * max(0, event.total - event.finished)
                self._say(
                    f"{event.finished}/{event.total} trials, {_best(event)}, {left:.0f} s left"
                )

        elif isinstance(event, Confirming):
            over = event.done >= event.total
            if over or event.done == 0 or now - self._last >= _SECONDS_A_LINE:
                self._last = now
                self._say(f"{event.what}: {event.done}/{event.total} runs")

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class _Live(_Quiet):
    """A bar with the best so far and the time left."""

    _told = (Note, Chosen)

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[best]}"),
            TimeRemainingColumn(compact=True),
            console=console,
        )
        self._task = self._progress.add_task("", total=None, best="")
        self._run = self._what = ""

    def __enter__(self) -> "_Live":
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        super().__call__(event)
        if isinstance(event, Started):
            self._run = event.run.replace("[", r"\[")
            self._progress.update(
                self._task, description=self._run, total=event.total, completed=event.finished
            )
        elif isinstance(event, AtRung):
            self._progress.update(self._task, description=f"{self._run}, {_rung(event)}")
        elif isinstance(event, Trained):
            self._progress.update(self._task, completed=event.finished, best=_best(event))
        elif isinstance(event, Confirming):
            if event.what != self._what:
                self._what = event.what
                self._progress.reset(self._task, description=event.what, total=event.total, best="")
            self._progress.update(self._task, completed=event.done)
