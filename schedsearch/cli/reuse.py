"""Commands about schedules: families, tasks, export, preview."""

from pathlib import Path
from typing import Annotated

import typer

from schedsearch.cli.options import RUNS_DIR, RunArgument, RunsDir, Storage, opened


def families() -> None:
    """List the families with their parameters and the ranges searched by default.

    Example:  schedsearch families
    """
    from schedsearch.schedules import DEFAULT_FAMILIES, FAMILIES

    for family in FAMILIES:
        mark = "  [in the default search]" if family.name in DEFAULT_FAMILIES else ""
        typer.echo(f"{family.name}{mark}\n    {family.about}")
        for param in family.params:
            when = f"  (when {param.when[0]} is {param.when[1]})" if param.when else ""
            typer.echo(f"    {param.name:<16} {param.describe()}{when}")


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
