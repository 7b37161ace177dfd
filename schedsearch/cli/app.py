"""The command `schedsearch`: its subcommands, and how errors are shown."""

import sys

import typer

from schedsearch.cli import look, reuse, run
from schedsearch.errors import SchedsearchError

app = typer.Typer(
    help="Which learning-rate schedule should I use? Search them, compare them, reuse the best.",
    epilog="Start with:  schedsearch run studies/digits.toml",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for command in (
    run.run,
    look.list_runs,
    look.status,
    look.trials,
    look.curves,
    look.delete,
    reuse.families,
    reuse.tasks,
    reuse.export,
    reuse.preview,
):
    app.command(name="list" if command is look.list_runs else None)(command)


@app.callback(invoke_without_command=True)
def version(
    context: typer.Context,
    show: bool = typer.Option(False, "--version", help="Print the version."),
) -> None:
    """Which learning-rate schedule should I use? Search them, compare them, reuse the best."""
    if show:
        from importlib.metadata import version as installed

        typer.echo(installed("schedsearch"))
        raise typer.Exit()


def main() -> None:
    """Run the command; a person's mistake is one line and exit code 2, never a traceback."""
    try:
        app()
    except SchedsearchError as error:
        _fail(str(error), 2)
    except KeyboardInterrupt as interrupt:
        _fail(": ".join(["interrupted", *map(str, interrupt.args)]), 130)
    except Exception as error:
        if not _is_of_the_storage(error):
            raise
        _fail(f"the storage failed: {' '.join(str(error).split())[:300]}", 2)


def _is_of_the_storage(error: Exception) -> bool:
    """Say whether a database went away, or refused to write."""
    module = type(error).__module__.partition(".")[0]
    return module == "sqlalchemy" or type(error).__name__ == "StorageInternalError"


def _fail(text: str, code: int) -> None:
    typer.echo(f"schedsearch: {text}", err=True)
    sys.exit(code)
