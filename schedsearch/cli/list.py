"""`schedsearch list`: the runs in a folder, or in a database."""

from pathlib import Path
from typing import Any

import typer

from schedsearch.cli.options import RUNS_DIR, RunsDir, Storage
from schedsearch.errors import SchedsearchError


def list_runs(runs_dir: RunsDir = RUNS_DIR, storage: Storage = None) -> None:
    """List the runs in a folder, or in a database.

    Example:  schedsearch list --runs-dir runs
    """
    import pandas as pd

    from schedsearch.cli.show.tables import print_table

    rows, unread = [], []
    for where, name in _runs_at(runs_dir, storage):
        try:
            rows.append(_row(where, name, runs_dir))
        except SchedsearchError as error:
            unread.append(f"{where}: {error}")
    if rows:
        print_table(pd.DataFrame(rows))
    elif not unread:
        typer.echo(f"no runs in {storage or runs_dir}")
    for line in unread:
        typer.echo(f"schedsearch: {line}", err=True)


def _runs_at(runs_dir: Path, storage: str | None) -> list[tuple[str, str | None]]:
    """Return where each run is: a folder, or a database with the run's name in it."""
    from schedsearch.store.connect import open_storage
    from schedsearch.store.place import run_folders, run_names

    if storage is None:
        return [(str(folder), None) for folder in run_folders(runs_dir)]
    return [(storage, name) for name in sorted(run_names(open_storage(storage)))]


def _row(where: str, name: str | None, runs_dir: Path) -> dict[str, Any]:
    from schedsearch.report.leaderboard import leaderboard
    from schedsearch.report.wording import with_class
    from schedsearch.store.run import open_run

    run = open_run(where, name, runs_dir=runs_dir)
    trials, config, objective = run.trials(), run.config, run.objective
    board = leaderboard(trials, objective)
    best = board.iloc[0] if len(board) else None
    return {
        "run": run.name,
        "task": config.trains,
        "finished": int((trials["state"] == "finished").sum()),
        "of": config.trials,
        "best family": None if best is None else with_class(best["family"]),
        objective.name: None if best is None else best[objective.name],
    }
