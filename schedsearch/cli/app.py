"""The command `schedsearch`: its subcommands, and how errors are shown."""

import gc
import os
import sys

import typer

from schedsearch.cli.check import check
from schedsearch.cli.confirm import confirm
from schedsearch.cli.convergence import convergence
from schedsearch.cli.curves import curves
from schedsearch.cli.dashboard import dashboard
from schedsearch.cli.delete import delete
from schedsearch.cli.events import events
from schedsearch.cli.export import export
from schedsearch.cli.families import families
from schedsearch.cli.init import init
from schedsearch.cli.list import list_runs
from schedsearch.cli.plot import plot
from schedsearch.cli.preview import preview
from schedsearch.cli.report import report
from schedsearch.cli.run import run
from schedsearch.cli.show.failure import fail
from schedsearch.cli.status import status
from schedsearch.cli.tasks import tasks
from schedsearch.cli.trials import trials
from schedsearch.errors import SchedsearchError

app = typer.Typer(
    help="Which learning-rate schedule should I use? Search them, compare them, reuse the best.",
    epilog="Start with:  schedsearch run studies/digits.toml",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("run")(run)
app.command("init")(init)
app.command("check")(check)
app.command("confirm")(confirm)
app.command("list")(list_runs)
app.command("status")(status)
app.command("trials")(trials)
app.command("curves")(curves)
app.command("convergence")(convergence)
app.command("report")(report)
app.command("plot")(plot)
app.command("dashboard")(dashboard)
app.command("delete")(delete)
app.command("families")(families)
app.command("tasks")(tasks)
app.command("export")(export)
app.command("preview")(preview)
app.command("events")(events)


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
    # OpenMP threads that wait for one another sleep, and leave the cores to other processes
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.path.insert(0, os.getcwd())  # for families, tasks and optimizers of the user's own
    try:
        code = app(standalone_mode=False)
    except SchedsearchError as error:
        fail(str(error), 2, getattr(error, "__notes__", ()))
    except typer.Abort:
        fail("aborted", 1)
    except KeyboardInterrupt:
        fail("interrupted", 130)
    except Exception as error:
        fail(*_worded(error))
    gc.freeze()  # else the collector walks through torch at exit, which takes seconds
    sys.exit(code if isinstance(code, int) else 0)


def _worded(error: Exception) -> tuple[str, int]:
    """Return the message and exit code of a person's mistake or of a failed storage.

    Any other error is a bug of this package, and is raised again.
    """
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # from the option parser
        return str(error.format_message()), int(error.exit_code)
    if _is_of_the_storage(error):
        return f"the storage failed: {' '.join(str(error).split())[:300]}", 2
    raise error


def _is_of_the_storage(error: Exception) -> bool:
    """Return whether a database went away, or refused to write."""
    module = type(error).__module__.partition(".")[0]
    return module == "sqlalchemy" or type(error).__name__ == "StorageInternalError"
