"""How a command that trains tells of it: live, in lines, as JSON, or the result alone."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeAlias

import typer

if TYPE_CHECKING:
    from schedsearch.launch import Outcome
    from schedsearch.search.events import OnEvent

_JSON = "--json"
Quiet: TypeAlias = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print the result only (notes: to standard error).")
]
Json: TypeAlias = Annotated[
    bool, typer.Option(_JSON, help="One event a line, for machines: see `schedsearch events`.")
]


def events(
    markdown: Annotated[bool, typer.Option("--markdown", help="As a Markdown table.")] = False,
) -> None:
    """List what `--json` prints: a JSON object a line, of these kinds, with these keys.

    Example:  schedsearch events
    """
    from schedsearch.outputs.machine import as_markdown, as_text

    typer.echo(as_markdown() if markdown else as_text(), nl=False)


@contextmanager
def telling(*, quiet: bool, json: bool, kept: str) -> Iterator["OnEvent"]:
    """Show the events of a block; an interrupt ends the command, and says what is kept.

    With JSON, nothing else gets to standard output: what is printed inside goes to standard error.
    """
    from rich.console import Console

    from schedsearch.outputs.machine import JsonLines
    from schedsearch.outputs.progress import make_display

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


def print_result(outcome: "Outcome") -> None:
    """Print what a command came to as the last line of JSON."""
    from schedsearch.outputs.machine import Result, line_of

    test, clock = outcome.test, outcome.clock
    result = Result(
        run=outcome.run.name,
        concluded=bool(test),
        confirmed=bool(test) and outcome.run.confirmed_now is not None,
        schedule=test.get("schedule"),
        trial=test.get("trial"),
        test_loss=test.get("test_loss"),
        test_accuracy=test.get("test_accuracy"),
        best_path=str(outcome.best_path) if test else None,
        report_path=None if outcome.report_path is None else str(outcome.report_path),
        trials=clock.trials,
        training_seconds=clock.training,
        sampling_seconds=clock.sampling,
        storing_seconds=clock.storing,
    )
    typer.echo(line_of(result))


def fail(text: str, code: int) -> NoReturn:
    """End the command with one line on standard error; with --json, one on standard output too."""
    if _JSON in sys.argv:
        from schedsearch.outputs.machine import Failed, line_of

        typer.echo(line_of(Failed(text, code)))
    typer.echo(f"schedsearch: {text}", err=True)
    sys.exit(code)
