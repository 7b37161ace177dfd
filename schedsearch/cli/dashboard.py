"""`schedsearch dashboard`: watch a run in the Optuna dashboard."""

import os
import sys
from contextlib import suppress
from typing import Annotated

import typer

from schedsearch.cli.options import RUNS_DIR, RunArgument, RunsDir, Storage, opened


def dashboard(
    run: RunArgument,
    port: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65535,
            help="The port (default: 8080, or the next that is free).",
            show_default=False,
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="The address to listen on; any but 127.0.0.1 is open to others.")
    ] = "127.0.0.1",
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open a browser, where there is one.")
    ] = True,
    attached: Annotated[
        bool,
        typer.Option(
            "--attached", hidden=True, help="End when standard input closes; run at low priority."
        ),
    ] = False,
    runs_dir: RunsDir = RUNS_DIR,
    storage: Storage = None,
) -> None:
    """Watch a run in the Optuna dashboard, with its figures, notes and leaderboard.

    It also works while the run goes on, and never slows it down. Ctrl-C ends the dashboard. The
    dashboard has no password and can delete what the storage holds: think before you name another
    --host.

    Example:  schedsearch dashboard runs/digits --port 8081
    """
    if attached:
        with suppress(AttributeError, OSError):
            os.nice(10)  # the run that opened this dashboard comes first
    from schedsearch.dashboard.serve import serve

    serve(
        opened(run, runs_dir, storage),
        host=host,
        port=port,
        browser=browser,
        tell=_say,
        until=sys.stdin.buffer.read if attached else None,
    )


def _say(line: str) -> None:
    print(line, flush=True)
