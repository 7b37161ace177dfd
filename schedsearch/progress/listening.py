"""Who is told of events: the caller's function, or a display of our own."""

from collections.abc import Iterator
from contextlib import contextmanager

from schedsearch.search.events import Event, OnEvent


def _silent(event: Event) -> None:
    pass


@contextmanager
def listening(on_event: OnEvent | None, *, progress: bool) -> Iterator[OnEvent]:
    """Yield what is told of events.

    Args:
        on_event: the caller's function; None: a display on standard error, or in the notebook.
        progress: whether there is that display.
    """
    if on_event is not None or not progress:
        yield on_event or _silent
        return
    from rich.console import Console

    from schedsearch.progress.live import make_display

    with make_display(Console(stderr=True), quiet=False) as display:
        yield display
