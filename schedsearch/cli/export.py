"""`schedsearch export`: a schedule as a file for other tools."""

from pathlib import Path
from typing import Annotated, Any

import typer

from schedsearch.cli.options import RUNS_DIR, RunsDir, Storage, opened
from schedsearch.export import EXPORTERS, find_exporter, save_export

_FORMATS = "; ".join(f"{each.name}: {each.about}" for each in EXPORTERS)


def export(
    source: Annotated[
        str,
        typer.Argument(
            metavar="RUN|best.json", help="A run's folder or name, or a schedule's file."
        ),
    ],
    to: Annotated[str, typer.Option("--to", help=f"The format ({_FORMATS}).")] = "json",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The file to write (default: best.json, best.csv ...)"),
    ] = None,
    total_steps: Annotated[
        int | None, typer.Option(min=1, help="The horizon, for formats that write out rates.")
    ] = None,
    runs_dir: RunsDir = RUNS_DIR,
    storage: Storage = None,
) -> None:
    """Write the best schedule of a run, or a schedule's file, in another format.

    Example:  schedsearch export runs/digits --to json -o best.json
    """
    exporter = find_exporter(to)
    path = output or Path(f"best{exporter.suffix}")
    save_export(exporter, _content(source, runs_dir, storage), path, total_steps=total_steps)
    typer.echo(str(path))


def _content(source: str, runs_dir: Path, storage: str | None) -> dict[str, Any]:
    """Return what best.json holds: of a run, or of a file."""
    from schedsearch.report.best_json import best_of
    from schedsearch.schedules.load import read_content

    if Path(source).is_file():
        return read_content(source)
    return best_of(opened(source, runs_dir, storage))
