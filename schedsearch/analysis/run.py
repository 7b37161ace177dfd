"""Run: what one study file produced, read back from wherever it is stored."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from schedsearch.analysis.frames import curves_frame, trials_frame
from schedsearch.analysis.leaderboard import leaderboard
from schedsearch.config import StudyConfig
from schedsearch.errors import RunError
from schedsearch.schedules import Schedule
from schedsearch.storage.best import best_trial
from schedsearch.storage.connect import sqlite_url
from schedsearch.storage.owners import abandoned
from schedsearch.storage.place import (
    BEST,
    DATABASE,
    LOCK,
    POINTER,
    Place,
    find_place,
    open_place,
    study_ids,
)
from schedsearch.storage.records import PREFIX, Result, read_result, read_schedule


@dataclass(frozen=True)
class Best:
    """The best trial of a run: its number, its schedule, and what it reached."""

    trial: int
    schedule: Schedule
    result: Result


@dataclass(frozen=True, eq=False)
class Run:
    """A run, found by its folder or by storage URL and name. Each reading is of the present state.

    Args:
        place: where it is.
        storage: its open storage.
    """

    place: Place
    storage: RDBStorage

    @property
    def name(self) -> str:
        """The run's name."""
        return self.place.name

    @property
    def attributes(self) -> dict[str, Any]:
        """What the run stores of itself: provenance, fingerprint, seeds, identity, test."""
        ids = study_ids(self.storage, self.name)
        if not ids:
            raise RunError(f"there is no run {self.name!r} any more")
        attrs = self.storage.get_study_system_attrs(next(iter(ids.values())))
        return {k.removeprefix(PREFIX): v for k, v in attrs.items() if k.startswith(PREFIX)}

    @property
    def config(self) -> StudyConfig:
        """The study file of the last call."""
        stored = self.attributes.get("config")
        if stored is None or "identity" not in self.attributes:
            raise RunError(f"the run {self.name!r} is just being made")
        return StudyConfig.model_validate(stored, strict=False)

    @property
    def best(self) -> Best:
        """The best finished trial.

        Raises:
            RunError: no trial has finished.
        """
        trial = best_trial(self._all(), self.config.search.objective)
        schedule = None if trial is None else read_schedule(trial)
        if trial is None or schedule is None:
            raise RunError(f"the run {self.name!r} has no finished trial yet")
        return Best(trial.number, schedule, read_result(trial))

    def trials(self) -> pd.DataFrame:
        """Return a frame with a row a trial; see `frames.TRIAL_COLUMNS`."""
        return trials_frame(self._studies())

    def curves(self) -> pd.DataFrame:
        """Return a frame with a row an evaluation; see `frames.CURVE_COLUMNS`."""
        return curves_frame(self._studies())

    def leaderboard(self) -> pd.DataFrame:
        """Return the best trial of each family, best first; see `leaderboard`."""
        return leaderboard(self.trials(), self.config.search.objective)

    def being_trained(self) -> int:
        """Count the trials that a living process trains now."""
        running = (t for t in self._all() if t.state == TrialState.RUNNING)
        return sum(not abandoned(trial) for trial in running)

    def _studies(self) -> list[tuple[str, list[FrozenTrial]]]:
        """Return each study's trials by number: a database may hand them out in any order."""
        ids = study_ids(self.storage, self.name)
        every = {name: self.storage.get_all_trials(i, deepcopy=False) for name, i in ids.items()}
        return [(name, sorted(trials, key=lambda t: t.number)) for name, trials in every.items()]

    def _all(self) -> list[FrozenTrial]:
        return [trial for _, trials in self._studies() for trial in trials]


def open_run(run: str | Path, name: str | None = None, *, runs_dir: str | Path = "runs") -> Run:
    """Open a run: `open_run(folder)`, or `open_run(storage_url, name)`.

    Raises:
        RunError: there is no such run.
        StorageError: its storage does not answer.
    """
    if name is None:
        place = find_place(run, Path(runs_dir))
    else:
        place = find_place(name, Path(runs_dir), str(run))
    return Run(*open_place(place))


def delete_run(run: Run) -> None:
    """Delete all that a run stored, and its folder's files that schedsearch wrote."""
    for name in study_ids(run.storage, run.name):
        optuna.delete_study(study_name=name, storage=run.storage)
    folder = run.place.folder
    if folder is not None:
        run.storage.engine.dispose()
        own = run.place.url == sqlite_url(folder / DATABASE)
        database = (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm") if own else ()
        for file in (*database, BEST, POINTER, LOCK):
            (folder / file).unlink(missing_ok=True)
        if not any(folder.iterdir()):
            folder.rmdir()
