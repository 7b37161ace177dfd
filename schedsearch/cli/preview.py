"""`schedsearch preview`: a picture of a schedule's rates."""

from pathlib import Path
from typing import Annotated

import typer


def preview(
    schedule: Annotated[Path, typer.Argument(help="best.json, or a schedule's JSON.")],
    total_steps: Annotated[int, typer.Option(min=1, help="The horizon, in steps.")] = 1000,
    evals: Annotated[
        int | None, typer.Option(min=1, help="Evaluations, for one that reacts to a metric.")
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="A picture: .png, .svg or .pdf.")
    ] = Path("rates.png"),
) -> None:
    """Draw the learning rates of a schedule over one training.

    Example:  schedsearch preview runs/digits/best.json --total-steps 1000 -o lr.png
    """
    from schedsearch.report.draw.matplotlib import save_figure
    from schedsearch.report.draw.preview import draw_preview
    from schedsearch.schedules.load import load_schedule

    save_figure(draw_preview(load_schedule(schedule), total_steps, evals=evals), output)
    typer.echo(str(output))
