"""How a command that failed ends."""

import sys
from collections.abc import Sequence
from typing import NoReturn

import typer

from schedsearch.cli.options import JSON


def fail(text: str, code: int, notes: Sequence[str] = ()) -> NoReturn:
    """End the command with one line on standard error; with --json, one on standard output too.

    Args:
        text: the line.
        code: the exit code.
        notes: what stands below it on standard error: frames of the user's own code.
    """
    if JSON in sys.argv:
        from schedsearch.cli.show.json_lines import Failed, line_of

        typer.echo(line_of(Failed(text, code)))
    typer.echo("\n".join((f"schedsearch: {text}", *notes)), err=True)
    sys.exit(code)
