"""Displays for a person: live lines on a terminal, plain lines elsewhere."""

import time
from types import TracebackType
from typing import Any, Protocol

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.jupyter import JupyterMixin
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from schedsearch.progress.eta import Pace, spark, time_left
from schedsearch.search.events import (
    Ahead,
    AtRung,
    Chosen,
    Confirming,
    Event,
    Note,
    Started,
    Trained,
)

_SECONDS_A_LINE = 5.0
_SECONDS_A_BLOCK = 0.25  # of a notebook
_WIDEST = 100


class Display(Protocol):
    """Shows events; a context manager."""

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
    """Return a display: notes only, live (in a notebook too), or line by line."""
    if quiet:
        return _Quiet(console)
    if console.is_jupyter:
        return _Notebook(console)
    live = console.is_terminal and not console.is_dumb_terminal
    return _Live(console) if live else _Lines(console)


class _State:
    """The state of a call, from the events so far."""

    def __init__(self) -> None:
        self.run = self.doing = self.best = ""
        self.unit = "trials"
        self.done = self.total = self.before = 0
        self.values: list[float] = []
        self.pace = Pace()
        self._began = time.monotonic()

    def take(self, event: Event, now: float) -> None:
        """Update the state with an event."""
        if isinstance(event, Started):
            self.run, self.unit, self.doing, self.best = event.run, "trials", "", ""
            self.done = self.before = event.finished
            self.total, self.values, self._began = event.total, [], now
        elif isinstance(event, AtRung):
            self.doing = _rung(event)
        elif isinstance(event, Trained):
            self.done, self.best = event.finished, _best(event)
            if event.best_value is not None:
                self.values.append(event.best_value)
        elif isinstance(event, Confirming):
            if event.what != self.doing:
                self.doing, self.unit, self.before, self._began = (
                    event.what,
                    "trainings",
                    event.done,
                    now,
                )
            self.done, self.total = event.done, event.total
        elif isinstance(event, Ahead):
            self.pace.saw(now, event.steps)

    def a_minute(self, now: float) -> str:
        """Return how many trials (or trainings) of this call end per minute, in words."""
        seconds, ended = now - self._began, self.done - self.before
        if ended <= 0 or seconds <= 0:
            return ""
        rate = 60 * ended / seconds
        return f"{rate:.0f}/min" if rate >= 9.5 else f"{rate:.1f}/min"

    def left(self, now: float) -> str:
        """Return the time left, in words."""
        return time_left(self.pace.seconds_left(now))


def _best(event: Trained) -> str:
    if event.best_value is None:
        return "none finished yet"
    return f"best {event.best_value:.4g} {event.best_family}"


def _rung(event: AtRung) -> str:
    n = event.schedules
    return f"rung {event.rung}/{event.of}: {n} schedule{'s' * (n != 1)} at {event.words}"


class _Quiet:
    """Prints notes only."""

    _told: tuple[type[Note] | type[Chosen], ...] = (Note,)

    def __init__(self, console: Console) -> None:
        self._console, self._state = console, _State()

    def __enter__(self) -> "_Quiet":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def __call__(self, event: Event) -> None:
        if isinstance(event, Note | Chosen) and isinstance(event, self._told):
            self._say(event.text)

    def _say(self, text: str) -> None:
        whole = not self._console.is_terminal  # lines of a log are not wrapped
        self._console.print(text, markup=False, highlight=False, soft_wrap=whole)


class _Lines(_Quiet):
    """Prints a line every few seconds, and one for the last trial."""

    _told = (Note, Chosen)
    _last: float = 0.0
    _last_rung: float  # its own time, because trials end just before a rung begins

    def __call__(self, event: Event) -> None:
        super().__call__(event)
        now, state = time.monotonic(), self._state
        state.take(event, now)
        if isinstance(event, Started):
            self._last, self._last_rung = now, now - _SECONDS_A_LINE
            goes_on = f", {event.finished} finished before" if event.finished else ""
            self._say(f"{event.run}: {event.total} trials{goes_on}")
        elif isinstance(event, AtRung):
            if now - self._last_rung >= _SECONDS_A_LINE:
                self._last_rung = now
                self._say(_rung(event))
        elif isinstance(event, Trained):
            if event.finished >= event.total or now - self._last >= _SECONDS_A_LINE:
                self._line(now, f"{event.finished}/{event.total} trials", state.best)
        elif isinstance(event, Confirming):
            over = event.done in (0, event.total)
            if over or now - self._last >= _SECONDS_A_LINE:
                self._line(now, f"{event.what}: {event.done}/{event.total} trainings")

    def _line(self, now: float, *parts: str) -> None:
        self._last = now
        self._say(
            ", ".join(filter(None, (*parts, self._state.a_minute(now), self._state.left(now))))
        )


class _Live(_Quiet):
    """Shows three live lines: the current phase; a bar, the pace and the time left; the best."""

    _told = (Note, Chosen)

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._live = Live(
            get_renderable=lambda: _drawn(self._state, console),
            console=console,
            refresh_per_second=4,
            transient=True,
        )

    def __enter__(self) -> "_Live":
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def __call__(self, event: Event) -> None:
        super().__call__(event)
        self._state.take(event, time.monotonic())


class _Block(JupyterMixin):
    """The live lines as they stand, for a notebook."""

    def __init__(self, state: _State) -> None:
        self._state = state

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield _drawn(self._state, console)


class _Notebook(_Quiet):
    """Shows the live lines in a notebook's cell; its last state stays."""

    _told = (Note, Chosen)

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._block, self._shown = _Block(self._state), 0.0

    def __enter__(self) -> "_Notebook":
        from IPython.display import display

        show: Any = display  # IPython has no types
        self._handle = show(self._block, display_id=True)
        return self

    def __exit__(self, *error: object) -> None:
        self._handle.update(self._block)

    def __call__(self, event: Event) -> None:
        super().__call__(event)
        now = time.monotonic()
        self._state.take(event, now)
        if now - self._shown >= _SECONDS_A_BLOCK:
            self._shown = now
            self._handle.update(self._block)


def _drawn(state: _State, console: Console) -> Group:
    """Return the live lines."""
    now = time.monotonic()
    if not state.total:
        return Group(Text("preparing ...", no_wrap=True))
    width = min(console.width, _WIDEST)
    numbers = (f"{state.done}/{state.total} {state.unit}", state.a_minute(now), state.left(now))
    bar = Table.grid(padding=(0, 1), expand=True)
    bar.width = width
    bar.add_column(ratio=1)
    bar.add_column(no_wrap=True, overflow="ellipsis")
    bar.add_row(
        ProgressBar(total=state.total, completed=min(state.done, state.total)),
        Text("  ".join(filter(None, numbers))),
    )
    drawn = "" if console.options.ascii_only else spark(state.values)
    lines = [f"{state.run}: {state.doing}" if state.doing else state.run]
    lines += [f"{state.best}  {drawn}".rstrip()] if state.best else []
    first, *others = (Text(line, no_wrap=True, overflow="ellipsis") for line in lines)
    for text in (first, *others):
        text.truncate(width, overflow="ellipsis")
    return Group(first, bar, *others)
