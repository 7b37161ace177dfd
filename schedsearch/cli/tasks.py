"""`schedsearch tasks`: the built-in tasks."""

import typer


def tasks() -> None:
    """List the built-in tasks with their models.

    Example:  schedsearch tasks
    """
    from schedsearch.tasks.registry import TASKS

    for task in TASKS:
        typer.echo(f"{task.name}  (models: {', '.join(task.models)})\n    {task.about}")
