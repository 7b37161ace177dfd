"""Delete what a run stored."""

import shutil

import optuna

from schedsearch.store.connect import sqlite_url
from schedsearch.store.place import (
    ARTIFACTS,
    BEST,
    DATABASE,
    FAILED,
    LOCK,
    POINTER,
    REPORT,
    study_ids,
)
from schedsearch.store.run import Run


def delete_run(run: Run) -> None:
    """Delete all that a run stored, and its folder's files that schedsearch wrote."""
    for name in study_ids(run.storage, run.name):
        optuna.delete_study(study_name=name, storage=run.storage)
    folder = run.place.folder
    if folder is not None:
        run.storage.engine.dispose()
        own = run.place.url == sqlite_url(folder / DATABASE)
        database = (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm") if own else ()
        for file in (*database, BEST, REPORT, POINTER, LOCK):
            (folder / file).unlink(missing_ok=True)
        for each in (ARTIFACTS, FAILED):
            shutil.rmtree(folder / each, ignore_errors=True)
        if not any(folder.iterdir()):
            folder.rmdir()
