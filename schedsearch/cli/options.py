"""Options that several commands share, and how they print tables."""

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

if TYPE_CHECKING:
    import pandas as pd

    from schedsearch.analysis import Run

RunArgument: TypeAlias = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's folder, or its name under --runs-dir.")
]
RunsDir: TypeAlias = Annotated[
    Path, typer.Option(help="Where the runs' folders are.", envvar="SCHEDSEARCH_RUNS")
]
Storage: TypeAlias = Annotated[
    str | None,
    typer.Option(help="A database URL, such as postgresql://user@host/db.", show_default=False),
]
RUNS_DIR = Path("runs")


def opened(run: str, runs_dir: Path, storage: str | None) -> "Run":
    """Open the run that a command names."""
    from schedsearch.analysis import open_run

    if storage is None:
        return open_run(run, runs_dir=runs_dir)
    return open_run(storage, Path(run).name, runs_dir=runs_dir)


def print_table(frame: "pd.DataFrame") -> None:
    """Print a frame: on a terminal, as much of it as is wide enough."""
    from schedsearch.outputs.tables import render

    typer.echo(render(frame, shutil.get_terminal_size().columns if sys.stdout.isatty() else None))
