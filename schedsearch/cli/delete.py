"""`schedsearch delete`: delete a run."""

from typing import Annotated

import typer

from schedsearch.cli.options import RUNS_DIR, RunArgument, RunsDir, Storage, opened


def delete(
    run: RunArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also while a process trains its trials.")
    ] = False,
    runs_dir: RunsDir = RUNS_DIR,
    storage: Storage = None,
) -> None:
    """Delete a run and all it stored (asks first).

    Example:  schedsearch delete runs/digits
    """
    from schedsearch.errors import RunError
    from schedsearch.store.connect import masked
    from schedsearch.store.delete import delete_run

    found = opened(run, runs_dir, storage, any_version=True)
    count, trained = len(found.search_trials()), found.being_trained()
    where = found.place.folder or masked(found.place.url)
    if trained and not force:
        raise RunError(
            f"{trained} trials of {found.name!r} are being trained: stop that first, or say --force"
        )
    if not yes:
        question = f"Delete the run {found.name!r} with its {count} trials from {where}?"
        typer.confirm(question, abort=True)
    delete_run(found)
    typer.echo(f"deleted {found.name} ({count} trials)")
