"""Commands that look at runs: list, status, trials, curves, delete."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from schedsearch.cli.fidelity import print_edge
from schedsearch.cli.options import RUNS_DIR, RunArgument, RunsDir, Storage, opened, print_table


class Format(StrEnum):
    """How a frame is written."""

    table = "table"
    csv = "csv"
    parquet = "parquet"


Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="A file (default: standard output).")
]
Form = Annotated[Format, typer.Option("--format", "-f", help="How it is written.")]


def list_runs(runs_dir: RunsDir = RUNS_DIR, storage: Storage = None) -> None:
    """List the runs in a folder, or in a database.

    Example:  schedsearch list --runs-dir runs
    """
    import pandas as pd

    from schedsearch.analysis import open_run
    from schedsearch.errors import SchedsearchError
    from schedsearch.storage.connect import open_storage
    from schedsearch.storage.place import run_folders, run_names

    rows, unread = [], []
    found: list[tuple[str, str | None]]
    if storage is not None:
        found = [(storage, name) for name in sorted(run_names(open_storage(storage)))]
    else:
        found = [(str(folder), None) for folder in run_folders(runs_dir)]
    for where, name in found:
        try:
            run = open_run(where, name, runs_dir=runs_dir)
            states = run.trials()["state"]
            board = run.leaderboard()
            config = run.config
        except SchedsearchError as error:
            unread.append(f"{where}: {error}")
            continue
        top = board.iloc[0] if len(board) else None
        rows.append(
            {
                "run": run.name,
                "task": config.task,
                "finished": int((states == "finished").sum()),
                "of": config.trials,
                "best family": None if top is None else top["family"],
                config.search.objective: None if top is None else top[config.search.objective],
            }
        )
    if rows:
        print_table(pd.DataFrame(rows))
    elif not unread:
        typer.echo(f"no runs in {storage or runs_dir}")
    for line in unread:
        typer.echo(f"schedsearch: {line}", err=True)


def status(run: RunArgument, runs_dir: RunsDir = RUNS_DIR, storage: Storage = None) -> None:
    """Show how far a run is, its best families, and what it was made with.

    Example:  schedsearch status runs/digits
    """
    from schedsearch.storage.connect import masked
    from schedsearch.storage.records import FIDELITY

    it = opened(run, runs_dir, storage)
    config, attributes, trials = it.config, it.attributes, it.trials()
    made = attributes["provenance"]
    counts = trials["state"].value_counts()
    states = ", ".join(f"{count} {state}" for state, count in counts.items()) or "none yet"
    typer.echo(f"run       {it.name} in {masked(it.place.url)}")
    typer.echo(f"task      {config.task} ({attributes['identity']['model']}), ", nl=False)
    typer.echo(f"{config.training.optimizer}, {config.training.total_steps} steps")
    ranks = ", as many for each family" if config.mode == "rank" else ""
    typer.echo(f"trials    {states}; of {config.trials}{ranks}")
    typer.echo(
        f"made on   {made['device']} of {made['host']}, torch {made['versions']['torch']}, "
        f"optuna {made['versions']['optuna']}, commit {made['commit'] or 'unknown'}"
    )
    confirmed = it.confirmed_now
    stale = "no, not since the last trials" if it.confirmed else "no"
    typer.echo(f"confirmed {confirmed.sentence() if confirmed else stale}")
    typer.echo(f"space     {attributes['fingerprint']}, seed {config.seed}")
    for text in filter(None, [attributes.get(FIDELITY, {}).get("text")]):
        typer.echo(f"fidelity  {text.removeprefix('fidelity: ')}")
    typer.echo("")
    print_table(it.leaderboard())
    print_edge(it)


def trials(
    run: RunArgument,
    form: Form = Format.table,
    output: Output = None,
    runs_dir: RunsDir = RUNS_DIR,
    storage: Storage = None,
) -> None:
    """Print a row for each trial.

    Example:  schedsearch trials runs/digits --format csv -o trials.csv
    """
    from schedsearch.outputs.tables import short_params, write_frame

    frame = opened(run, runs_dir, storage).trials()
    if form is Format.table:  # what fits beside each other on a screen
        frame = frame.drop(columns=["study", "owner", "started", "ended", "schedule", "train_loss"])
        frame["params"] = [short_params(text) for text in frame["params"]]
    write_frame(frame, form.value, output)


def curves(
    run: RunArgument,
    form: Form = Format.table,
    output: Output = None,
    runs_dir: RunsDir = RUNS_DIR,
    storage: Storage = None,
) -> None:
    """Print a row for each evaluation of each trial.

    Example:  schedsearch curves runs/digits --format parquet -o curves.parquet
    """
    from schedsearch.outputs.tables import write_frame

    frame = opened(run, runs_dir, storage).curves()
    if form is Format.table:
        frame = frame.drop(columns=["study"])
    write_frame(frame, form.value, output)


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
    from schedsearch.analysis import delete_run
    from schedsearch.errors import RunError
    from schedsearch.storage.connect import masked

    it = opened(run, runs_dir, storage)
    states = it.trials()["state"]
    where = it.place.folder or masked(it.place.url)
    if it.being_trained() and not force:
        raise RunError(
            f"{it.being_trained()} trials of {it.name!r} are being trained: stop that first, "
            "or say --force"
        )
    if not yes:
        question = f"Delete the run {it.name!r} with its {len(states)} trials from {where}?"
        typer.confirm(question, abort=True)
    delete_run(it)
    typer.echo(f"deleted {it.name} ({len(states)} trials)")
