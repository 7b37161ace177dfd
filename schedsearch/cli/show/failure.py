"""How a command that failed ends."""

import sys
from typing import NoReturn

import typer

from schedsearch.cli.options import JSON


def fail(text: str, code: int) -> NoReturn:
    """End the command with one line on standard error; with --json, one on standard output too."""
    if JSON in sys.argv:
        from schedsearch.cli.show.json_lines import Failed, line_of

        typer.echo(line_of(Failed(text, code)))
    typer.echo(f"schedsearch: {text}", err=True)
    sys.exit(code)
