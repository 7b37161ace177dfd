"""Options that several commands share, and the run that a command names."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from schedsearch.report.tables import FORMATS

if TYPE_CHECKING:
    from schedsearch.store.run import Run

RUNS_DIR = Path("runs")
JSON = "--json"

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
Device: TypeAlias = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")]
Quiet: TypeAlias = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print the result only (notes: to standard error).")
]
Json: TypeAlias = Annotated[
    bool, typer.Option(JSON, help="Print one JSON object per event: see `schedsearch events`.")
]
Markdown: TypeAlias = Annotated[bool, typer.Option("--markdown", help="As a Markdown table.")]
Output: TypeAlias = Annotated[
    Path | None, typer.Option("--output", "-o", help="A file (default: standard output).")
]
Form: TypeAlias = Annotated[
    str, typer.Option("--format", "-f", help=f"How it is written: {', '.join(FORMATS)}.")
]


def opened(run: str, runs_dir: Path, storage: str | None, *, any_version: bool = False) -> "Run":
    """Open the run that a command names."""
    from schedsearch.store.run import open_run

    if storage is None:
        return open_run(run, runs_dir=runs_dir, any_version=any_version)
    name = Path(run).name
    return open_run(storage, name, runs_dir=runs_dir, any_version=any_version)
