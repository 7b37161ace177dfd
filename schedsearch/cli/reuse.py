"""Commands about schedules: families, tasks, export, preview."""

from pathlib import Path
from typing import Annotated

import typer

from schedsearch.cli.options import RUNS_DIR, RunArgument, RunsDir, Storage, opened


def families(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="As a Markdown table, as in the README.")
    ] = False,
) -> None:
    """List the families with their parameters and the ranges searched by default.

    Example:  schedsearch families
    """
    from schedsearch.outputs.family_table import as_markdown, as_text

    typer.echo(as_markdown() if markdown else as_text(), nl=False)


def tasks() -> None:
    """List the built-in tasks with their models.

    Example:  schedsearch tasks
    """
    from schedsearch.tasks import TASKS

    for task in TASKS:
        typer.echo(f"{task.name}  (models: {', '.join(task.models)})\n    {task.about}")


def export(
    run: RunArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")] = Path(
        "best.json"
    ),
    runs_dir: RunsDir = RUNS_DIR,
    storage: Storage = None,
) -> None:
    """Write the best schedule of a run to a file.

    Example:  schedsearch export runs/digits -o best.json
    """
    from schedsearch.outputs.export import export_best

    export_best(opened(run, runs_dir, storage), output)
    typer.echo(str(output))


def preview(
    schedule: Annotated[Path, typer.Argument(help="best.json, or a schedule's JSON.")],
    total_steps: Annotated[int, typer.Option(min=1, help="The horizon.")] = 1000,
    evals: Annotated[
        int | None, typer.Option(min=1, help="Evaluations, for one that reacts to a metric.")
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="A picture: .png, .svg or .pdf.")
    ] = Path("rates.png"),
) -> None:
    """Draw the learning rates of a schedule over a run.

    Example:  schedsearch preview runs/digits/best.json --total-steps 1000 -o lr.png
    """
    from schedsearch.outputs.export import load_schedule
    from schedsearch.outputs.preview import draw_preview, save_figure

    save_figure(draw_preview(load_schedule(schedule), total_steps, evals=evals), output)
    typer.echo(str(output))
