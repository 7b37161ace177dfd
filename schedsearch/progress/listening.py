"""Who is told of events, and of warnings: the caller's function, or a display of our own."""

from collections.abc import Iterator
from contextlib import contextmanager

from schedsearch.progress.warned import telling_warnings
from schedsearch.search.events import Event, OnEvent


def _silent(event: Event) -> None:
    pass


@contextmanager
def listening(on_event: OnEvent | None, *, progress: bool) -> Iterator[OnEvent]:
    """Yield what is told of events; with nobody to tell, warnings are shown as Python shows them.

    Args:
        on_event: the caller's function; None: a display on standard error, or in the notebook.
        progress: whether there is that display.
    """
    if on_event is not None:
        with telling_warnings(on_event) as told:
            yield told
        return
    if not progress:
        yield _silent
        return
    from rich.console import Console

    from schedsearch.progress.live import make_display

    with (
        make_display(Console(stderr=True), quiet=False) as display,
        telling_warnings(display) as told,
    ):
        yield told
