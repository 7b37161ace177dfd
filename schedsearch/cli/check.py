"""`schedsearch check`: look at a task or a study before anything long starts."""

from pathlib import Path
from typing import Annotated

import typer

from schedsearch.cli.options import Device


def check(
    what: Annotated[
        str, typer.Argument(metavar="TASK|STUDY.toml", help="A task by its name, or a study file.")
    ],
    model: Annotated[
        str | None, typer.Option(help="One of the task's models; left out: its first.")
    ] = None,
    device: Device = "auto",
) -> None:
    """Look at a task, or at a study with its task, before anything long starts.

    A line for each thing that is looked at: ok, warning, or would fail (and then the exit code
    is 2). A test split is read, but no result of a training. Nothing is stored.

    Example:  schedsearch check studies/digits.toml
    """
    from schedsearch.config import load_config, parse_config
    from schedsearch.imports import find_beside
    from schedsearch.preflight.look import look_at

    if what.endswith(".toml") or Path(what).is_file():
        find_beside(Path(what))
        data = load_config(Path(what)).model_dump()
    else:
        data = {"name": "check", "task": what}
    config = parse_config(data | ({"model": model} if model else {}), what)
    failed = False
    for finding in look_at(config, device):
        typer.echo(finding.line())
        failed = failed or finding.state == "would fail"
    if failed:
        raise typer.Exit(2)
