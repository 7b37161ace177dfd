"""Choose how a command that trains shows its events: live, line by line, as JSON, or not at all."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING

from schedsearch.cli.show.failure import fail

if TYPE_CHECKING:
    from schedsearch.search.events import OnEvent


@contextmanager
def showing_events(*, quiet: bool, json: bool, kept: str) -> Iterator["OnEvent"]:
    """Show the events of a block; an interrupt ends the command and says what is kept.

    With JSON, standard output holds nothing else: what is printed inside goes to standard error.

    Args:
        quiet: show notes only, on standard error.
        json: print one JSON object per event.
        kept: what an interrupt does not lose, in words.
    """
    from rich.console import Console

    from schedsearch.cli.show.json_lines import JsonLines
    from schedsearch.progress.live import make_display

    stdout = sys.stdout
    try:
        if not json:
            with make_display(Console(stderr=quiet), quiet=quiet) as display:
                yield display
            return
        with redirect_stdout(sys.stderr):
            if quiet:
                yield make_display(Console(stderr=True), quiet=True)
            else:
                yield JsonLines(stdout)
    except KeyboardInterrupt:
        fail(f"interrupted: {kept}; the same command goes on", 130)
