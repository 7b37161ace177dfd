"""Options that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

if TYPE_CHECKING:
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
