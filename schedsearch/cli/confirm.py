"""`schedsearch confirm`: train the best schedules of a run on fresh seeds, or on more of them."""

from pathlib import Path
from typing import Annotated

import typer

from schedsearch.cli.options import (
    RUNS_DIR,
    Device,
    Json,
    Quiet,
    RunArgument,
    RunsDir,
    Storage,
    opened,
)


def confirm(
    run: RunArgument,
    seeds: Annotated[
        int | None,
        typer.Option(min=2, max=1000, help="Fresh seeds in all, those of before included."),
    ] = None,
    finalists: Annotated[
        int | None, typer.Option(min=1, max=50, help="How many of the best schedules take part.")
    ] = None,
    study: Annotated[
        Path | None,
        typer.Option(help="The study file, if modules of your own lie beside it, not here."),
    ] = None,
    runs_dir: RunsDir = RUNS_DIR,
    storage: Storage = None,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Confirm the best schedules of a run on fresh seeds, and write best.json.

    What was confirmed before is kept: more seeds, or more finalists, are added to it.

    Example:  schedsearch confirm runs/digits --seeds 16
    """
    from schedsearch.cli.show.display import showing_events
    from schedsearch.cli.show.outcome import print_confirmed, print_result
    from schedsearch.imports import find_beside
    from schedsearch.launch import confirm_run

    if study is not None:
        find_beside(study)
    found = opened(run, runs_dir, storage)
    with showing_events(quiet=quiet, json=as_json, kept="what is done is kept") as on_event:
        outcome = confirm_run(
            found,
            runs_dir=runs_dir,
            seeds=seeds,
            finalists=finalists,
            device=device,
            on_event=on_event,
        )
    show_outcome = print_result if as_json else print_confirmed
    show_outcome(outcome)
