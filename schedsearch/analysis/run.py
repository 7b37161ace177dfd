"""Run: what one study file produced, read back from wherever it is stored."""

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.storages import BaseStorage, RDBStorage, get_storage
from optuna.trial import FrozenTrial, TrialState

from schedsearch.analysis.confirmation import Confirmation, conclude_from, empty_frame
from schedsearch.analysis.convergence import Convergence, convergence_of
from schedsearch.analysis.edges import edge_advice, searched_rates
from schedsearch.analysis.fidelity import Agreement, agreements, fidelity_frame
from schedsearch.analysis.frames import curves_frame, rungs_frame, trials_frame
from schedsearch.analysis.leaderboard import leaderboard
from schedsearch.config import StudyConfig, parse_config
from schedsearch.errors import RunError
from schedsearch.schedules import Schedule
from schedsearch.storage.best import best_trial
from schedsearch.storage.checks import checks_name
from schedsearch.storage.connect import sqlite_url
from schedsearch.storage.finalists import confirmation_name, read_concluded
from schedsearch.storage.owners import abandoned
from schedsearch.storage.place import (
    ARTIFACTS,
    BEST,
    DATABASE,
    LOCK,
    POINTER,
    REPORT,
    Place,
    find_place,
    open_place,
    study_ids,
    study_of_family,
)
from schedsearch.storage.records import (
    FIDELITY,
    FINISHED,
    PREFIX,
    Result,
    read_result,
    read_schedule,
)


@dataclass(frozen=True)
class Best:
    """The best trial of a run: its number, its schedule, and what it reached.

    In rank mode trials are numbered within each family: `Run.study_of` names their study.
    """

    trial: int
    schedule: Schedule
    result: Result


@dataclass(frozen=True, eq=False)
class Run:
    """A run, found by its folder or by storage URL and name. Each reading is of the present state.

    Args:
        place: where it is.
        storage: its open storage.
        cached: a cache in front of the storage, as a study has it: what reads trials through it
            reads each finished one once (default: one of the run's own).
    """

    place: Place
    storage: RDBStorage
    cached: BaseStorage | None = None

    @cached_property
    def _reader(self) -> BaseStorage:
        return get_storage(self.storage) if self.cached is None else self.cached

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
        where = f"the stored study of {self.name!r} (of another version?)"
        return parse_config(stored, where, stored=True)

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

    def study_of(self, family: str) -> str:
        """Name the Optuna study that has a family's trials."""
        return study_of_family(self.name, family) if self.config.mode == "rank" else self.name

    def trials(self) -> pd.DataFrame:
        """Return a frame with a row a trial; see `frames.TRIAL_COLUMNS`."""
        return trials_frame(self._studies())

    def curves(self) -> pd.DataFrame:
        """Return a frame with a row an evaluation; see `frames.CURVE_COLUMNS`."""
        return curves_frame(self._studies())

    def rungs(self) -> pd.DataFrame:
        """Return a row a rung that a trial came through; see `frames.RUNG_COLUMNS`."""
        return rungs_frame(self._studies())

    def horizons(self) -> tuple[int, ...]:
        """Return the horizons at which a trial is tried, the full one last."""
        attributes, one = self.attributes, self.config.training.total_steps
        if self.chosen_fidelity == "full":
            return (one,)
        return tuple(attributes.get("identity", {}).get("fidelity.horizons", (one,)))

    @property
    def chosen_fidelity(self) -> str | None:
        """The kind of rungs that a pilot chose; None where the study file says it, or not yet."""
        kind: str | None = self.attributes.get(FIDELITY, {}).get("kind")
        return kind

    def checks(self) -> pd.DataFrame:
        """Return a row a schedule that checks the rungs; see `frames.TRIAL_COLUMNS`."""
        return trials_frame([(checks_name(self.name), self._checks())])

    def agreements(self) -> list[Agreement]:
        """Estimate how well each rung ranks schedules for the full horizon; none without rungs."""
        objective, cut = self.config.search.objective, self.chosen_fidelity == "truncate"
        return agreements(self._checks(), self._all(), self.horizons(), objective, cut=cut)

    def fidelity(self) -> pd.DataFrame:
        """Return a row a rung below the full horizon; see `fidelity.FIDELITY_COLUMNS`."""
        return fidelity_frame(self.agreements())

    def pilot(self, horizons: Sequence[int]) -> tuple[list[Agreement], list[Agreement]]:
        """Estimate how well rungs rank that are squeezed, and that cut the full run, by checks."""
        checks, objective = self._checks(), self.config.search.objective
        squeezed = agreements(checks, (), horizons, objective)
        return squeezed, agreements(checks, (), horizons, objective, cut=True)

    def edge_advice(self) -> str | None:
        """Name the families whose best base rate lies at an edge of the searched range, if any."""
        searched = searched_rates(self.attributes, self.config)
        return edge_advice(self.leaderboard(), self.confirmed_now, searched)

    def leaderboard(self) -> pd.DataFrame:
        """Return the best trial of each family, best first; see `leaderboard`."""
        return leaderboard(self.trials(), self.config.search.objective)

    @property
    def confirmed(self) -> Confirmation | None:
        """What was last confirmed on fresh seeds; None when nothing was, or all of it diverged."""
        ids = study_ids(self.storage, self.name)
        study_id = ids.get(confirmation_name(self.name))
        basis = None if study_id is None else read_concluded(self.storage, study_id)
        if study_id is None or basis is None:
            return None
        trials = self.confirmation_trials()
        scores = [v for k, v in self.attributes.items() if k == "test" or k.startswith("test:")]
        return conclude_from(basis, trials, self.config.search.objective, scores)

    def confirmation_trials(self) -> list[FrozenTrial]:
        """Return the trials of the confirmation that have ended."""
        study_id = study_ids(self.storage, self.name).get(confirmation_name(self.name))
        if study_id is None:
            return []
        return self._reader.get_all_trials(study_id, deepcopy=False, states=FINISHED)

    def search_trials(self) -> list[FrozenTrial]:
        """Return the trials of the search, as Optuna stores them."""
        return self._all()

    @property
    def confirmed_now(self) -> Confirmation | None:
        """What was confirmed, unless trials of the search have ended since."""
        confirmed = self.confirmed
        if confirmed is None:
            return None
        ended = sum(t.state in FINISHED for t in self._all())
        return confirmed if confirmed.basis.tried == ended else None

    def confirmation(self) -> pd.DataFrame:
        """Return a row a finalist, best first; see `confirmation.CONFIRMATION_COLUMNS`."""
        confirmed = self.confirmed
        return empty_frame() if confirmed is None else confirmed.frame()

    def convergence(self) -> Convergence:
        """Return frames of steps to the target, losses on the way, and the best against compute."""
        return convergence_of([self])

    def being_searched(self) -> int:
        """Count the trials of the search that a living process trains now."""
        return _trained(self._all())

    def being_trained(self) -> int:
        """Count the trials that a living process trains now, those of a confirmation too."""
        ids = study_ids(self.storage, self.name).values()
        return sum(_trained(self._reader.get_all_trials(i, deepcopy=False)) for i in ids)

    def _studies(self) -> list[tuple[str, list[FrozenTrial]]]:
        """Return the search's trials by study and number; a database has them in any order."""
        ids = study_ids(self.storage, self.name)
        for beside in (confirmation_name(self.name), checks_name(self.name)):
            ids.pop(beside, None)
        every = {name: self._reader.get_all_trials(i, deepcopy=False) for name, i in ids.items()}
        return [(name, sorted(trials, key=lambda t: t.number)) for name, trials in every.items()]

    def _checks(self) -> list[FrozenTrial]:
        """Return the trials that check the rungs and are over."""
        study_id = study_ids(self.storage, self.name).get(checks_name(self.name))
        if study_id is None:
            return []
        trials = self._reader.get_all_trials(study_id, deepcopy=False, states=FINISHED)
        return sorted(trials, key=lambda t: t.number)

    def _all(self) -> list[FrozenTrial]:
        return [trial for _, trials in self._studies() for trial in trials]


def _trained(trials: Iterable[FrozenTrial]) -> int:
    running = (trial for trial in trials if trial.state == TrialState.RUNNING)
    return sum(not abandoned(trial) for trial in running)


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
        for file in (*database, BEST, REPORT, POINTER, LOCK):
            (folder / file).unlink(missing_ok=True)
        shutil.rmtree(folder / ARTIFACTS, ignore_errors=True)
        if not any(folder.iterdir()):
            folder.rmdir()
