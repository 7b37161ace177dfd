"""`schedsearch report`: one page about one or more runs."""

from pathlib import Path
from typing import Annotated

import typer

from schedsearch.cli.options import RUNS_DIR, RunsDir, Storage, opened


def report(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Runs' folders, or names.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The file to write (default: in the run's folder)."),
    ] = None,
    runs_dir: RunsDir = RUNS_DIR,
    storage: Storage = None,
) -> None:
    """Write a page about runs: which schedule, how sure, and how it converged.

    The page is one file that needs no network. For several runs its default place is report.html
    in the current folder.

    Example:  schedsearch report runs/digits -o report.html
    """
    from schedsearch.report.page import export_report
    from schedsearch.store.place import REPORT

    found = [opened(run, runs_dir, storage) for run in runs]
    folder = found[0].place.folder if len(found) == 1 else None
    path = output or (folder or Path()) / REPORT
    export_report(found, path)
    typer.echo(str(path))
