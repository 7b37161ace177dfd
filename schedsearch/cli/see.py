"""Commands that draw runs: report, plot."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from schedsearch.cli.options import RUNS_DIR, RunArgument, RunsDir, Storage, opened


class Kind(StrEnum):
    """What is drawn: the names of `FIGURES`."""

    winner = "winner"
    confirmation = "confirmation"
    convergence = "convergence"
    rates = "rates"
    families = "families"
    target = "target"
    compute = "compute"
    fidelity = "fidelity"
    range_test = "range_test"
    base_lr = "base_lr"
    importance = "importance"
    budget = "budget"


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

    It is one file that needs no network. Of several runs it is report.html here, where no other
    file is named.

    Example:  schedsearch report runs/digits -o report.html
    """
    from schedsearch.outputs.report import REPORT, export_report

    found = [opened(run, runs_dir, storage) for run in runs]
    folder = found[0].place.folder if len(found) == 1 else None
    path = output or (folder or Path()) / REPORT
    export_report(found, path)
    typer.echo(str(path))


def plot(
    run: RunArgument,
    kind: Annotated[Kind, typer.Option(help="What is drawn.")] = Kind.convergence,
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
    from schedsearch.outputs.plots import save_plot

    path = output or Path(f"{kind.value}.png")
    save_plot(opened(run, runs_dir, storage), kind.value, path)
    typer.echo(str(path))
