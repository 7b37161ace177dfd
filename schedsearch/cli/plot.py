"""`schedsearch plot`: one figure of a run."""

from pathlib import Path
from typing import Annotated

import typer

from schedsearch.cli.options import RUNS_DIR, RunArgument, RunsDir, Storage, opened
from schedsearch.report.figures import FIGURES

_KINDS = ", ".join(figure.name for figure in FIGURES)


def plot(
    run: RunArgument,
    kind: Annotated[
        str, typer.Option(metavar="KIND", help=f"What is drawn: {_KINDS}.")
    ] = "convergence",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A file: .html, .png, .svg, .pdf (default: KIND.png)."),
    ] = None,
    runs_dir: RunsDir = RUNS_DIR,
    storage: Storage = None,
) -> None:
    """Draw one figure of a run: a picture, or a page with hover and a legend to click.

    Example:  schedsearch plot runs/digits --kind rates -o rates.svg
    """
    from schedsearch.report.plot import save_plot

    path = output or Path(f"{kind}.png")
    save_plot(opened(run, runs_dir, storage), kind, path)
    typer.echo(str(path))
