"""`schedsearch preview`: a picture of a schedule's rates."""

from pathlib import Path
from typing import Annotated

import typer


def preview(
    schedule: Annotated[Path, typer.Argument(help="best.json, or a schedule's JSON.")],
    total_steps: Annotated[
        int | None, typer.Option(min=1, help="The horizon, in steps (default: 1000).")
    ] = None,
    epochs: Annotated[float | None, typer.Option(help="The horizon, in epochs.")] = None,
    steps_per_epoch: Annotated[
        int | None, typer.Option(min=1, help="With --epochs: the steps of one.")
    ] = None,
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

    drawn = draw_preview(
        load_schedule(schedule),
        total_steps,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        evals=evals,
    )
    save_figure(drawn, output)
    typer.echo(str(output))
