"""The command `schedsearch`: its subcommands, and how errors are shown."""

import gc
import os
import sys

import typer

from schedsearch.cli import compare, confirm, dashboard, look, reuse, run, see, telling
from schedsearch.cli.telling import fail
from schedsearch.errors import SchedsearchError

app = typer.Typer(
    help="Which learning-rate schedule should I use? Search them, compare them, reuse the best.",
    epilog="Start with:  schedsearch run studies/digits.toml",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for command in (
    run.run,
    confirm.confirm,
    look.list_runs,
    look.status,
    look.trials,
    look.curves,
    compare.convergence,
    see.report,
    see.plot,
    dashboard.dashboard,
    look.delete,
    reuse.families,
    reuse.tasks,
    reuse.export,
    reuse.preview,
    telling.events,
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
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Run the command; a person's mistake is one line and exit code 2, never a traceback."""
    # threads that wait for one another sleep, and leave the cores to other processes (OpenMP)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.path.insert(0, os.getcwd())  # families, tasks and optimizers of the user's own
    try:
        code = app(standalone_mode=False)
    except SchedsearchError as error:
        fail(str(error), 2)
    except typer.Abort:
        fail("aborted", 1)
    except KeyboardInterrupt:
        fail("interrupted", 130)
    except Exception as error:
        fail(*_worded(error))
    gc.freeze()  # or ending takes seconds: all that torch has made would be looked through
    sys.exit(code if isinstance(code, int) else 0)


def _worded(error: Exception) -> tuple[str, int]:
    """Word what is a person's mistake or the storage's failure; anything else is ours: raise it."""
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # of the option parser
        return str(error.format_message()), int(error.exit_code)
    if _is_of_the_storage(error):
        return f"the storage failed: {' '.join(str(error).split())[:300]}", 2
    raise error


def _is_of_the_storage(error: Exception) -> bool:
    """Say whether a database went away, or refused to write."""
    module = type(error).__module__.partition(".")[0]
    return module == "sqlalchemy" or type(error).__name__ == "StorageInternalError"
