"""`schedsearch init`: write a study file to begin with."""

from pathlib import Path
from typing import Annotated

import typer

from schedsearch.cli.options import Device
from schedsearch.errors import ConfigError


def init(
    output: Annotated[Path, typer.Option("--output", "-o", help="The study file to write.")] = Path(
        "study.toml"
    ),
    task: Annotated[
        str,
        typer.Option(help="A name that `schedsearch tasks` lists, or yours: package.module:TASK."),
    ] = "digits",
    optimizer: Annotated[
        str | None, typer.Option(help="A class of torch.optim, or yours (default: SGD).")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Rows of a training batch (default: 64).")
    ] = None,
    device: Device = "auto",
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> None:
    """Write a commented study file whose lengths and ranges fit a task and its optimizer.

    It says how long the study will take here. Modules of your own are found beside the file.

    Example:  schedsearch init -o study.toml --task digits
    """
    from schedsearch.cli.show.study_file import study_text
    from schedsearch.files import write_atomically
    from schedsearch.imports import find_beside
    from schedsearch.store.place import make_folder

    if output.exists() and not force:
        raise ConfigError(f"{output} exists: choose another -o, or overwrite it with --force")
    find_beside(output)
    given = {"optimizer": optimizer, "batch_size": batch_size}
    text = study_text(output.stem, task, {k: v for k, v in given.items() if v is not None}, device)
    make_folder(output.parent)
    write_atomically(output, text.encode())
    typer.echo(f"Written to {output}; look at it, then:  schedsearch run {output} --dry-run")
