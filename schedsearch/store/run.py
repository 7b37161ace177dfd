"""Run: what one study file produced, read back from wherever it is stored."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd
from optuna.storages import BaseStorage, RDBStorage, get_storage
from optuna.trial import FrozenTrial, TrialState

from schedsearch.config import StudyConfig, parse_config
from schedsearch.errors import RunError
from schedsearch.objective import Objective, find_objective
from schedsearch.schedules.schedule import Schedule
from schedsearch.store import names
from schedsearch.store.columns import (
    CURVES,
    RUNGS,
    TRIALS,
    Column,
    documents,
    measured_columns,
)
from schedsearch.store.frames import curves_frame, rungs_frame, trials_frame
from schedsearch.store.leases import ATTEMPT, OWNER, abandoned
from schedsearch.store.place import (
    Place,
    find_place,
    open_place,
    study_ids,
)
from schedsearch.store.ranking import best_trial
from schedsearch.store.reading import StoredTrial, read_trials, study_attributes
from schedsearch.store.records import (
    CURVE,
    FIDELITY,
    FINISHED,
    PREFIX,
    RESULT,
    SCHEDULE,
    Read,
    Result,
    read_result,
    read_schedule,
    stored_objectives,
    stored_target,
)
from schedsearch.store.version import check_version

Studies: TypeAlias = Iterable[tuple[str, Sequence[Read]]]
"""The names of Optuna studies, each with trials that were read of it."""


@dataclass(frozen=True)
class Best:
    """The best trial of a run's search.

    In rank mode trials are numbered within each family: `Run.study_of` names their study.

    Args:
        trial: its number.
        schedule: its schedule.
        result: what it reached; see `records.result_of`.
    """

    trial: int
    schedule: Schedule
    result: Result


@dataclass(frozen=True, eq=False)
class Run:
    """A run, found by its folder or by storage URL and name; every access reads its present state.

    Args:
        place: where the run is.
        storage: its open storage.
        cached: Optuna's cache in front of the storage, through which a finished trial is read once
            (default: the run makes its own).
    """

    place: Place
    storage: RDBStorage
    cached: BaseStorage | None = None

    @cached_property
    def reader(self) -> BaseStorage:
        """The storage through which Optuna reads a finished trial once."""
        return get_storage(self.storage) if self.cached is None else self.cached

    @property
    def name(self) -> str:
        """The run's name."""
        return self.place.name

    @property
    def attributes(self) -> dict[str, Any]:
        """What the run stores of itself: provenance, fingerprint, seeds, identity."""
        ids = study_ids(self.storage, self.name)
        if not ids:
            raise RunError(f"there is no run {self.name!r} any more")
        attrs = study_attributes(self.storage, next(iter(ids.values())), PREFIX)
        return {key.removeprefix(PREFIX): value for key, value in attrs.items()}

    @property
    def config(self) -> StudyConfig:
        """The study file of the last call.

        Raises:
            RunError: the run is just being made, or another version of schedsearch made it.
        """
        attributes = self.attributes
        check_version(self.name, attributes)
        stored = attributes.get("config")
        if stored is None or "identity" not in attributes:
            raise RunError(f"the run {self.name!r} is just being made")
        where = f"the stored study of {self.name!r} (of another version?)"
        return parse_config(stored, where, stored=True)

    @cached_property
    def objectives(self) -> tuple[Objective, ...]:
        """All that its trainings can be compared by: the validation loss, and each metric."""
        return stored_objectives(self._made)

    @property
    def objective(self) -> Objective:
        """What ranks its trials."""
        return find_objective(self.config.search.objective, self.objectives)

    @cached_property
    def target(self) -> tuple[Objective, float] | None:
        """What a training is to reach; None where the task has no target."""
        return stored_target(self._made)

    @cached_property
    def _made(self) -> dict[str, Any]:
        """The attributes, as they were when they were first asked for: for what never changes."""
        attributes = self.attributes
        if "identity" not in attributes:
            raise RunError(f"the run {self.name!r} is just being made")
        return attributes

    def _columns(self, columns: Sequence[Column]) -> tuple[Column, ...]:
        return measured_columns(columns, self.objectives, has_target=self.target is not None)

    @property
    def best(self) -> Best:
        """The best finished trial of the search.

        Raises:
            RunError: no trial has finished.
        """
        trials = [trial for _, each in self._read(SCHEDULE, RESULT) for trial in each]
        trial = best_trial(trials, self.objective)
        schedule = None if trial is None else read_schedule(trial)
        if trial is None or schedule is None:
            raise RunError(f"the run {self.name!r} has no finished trial yet")
        return Best(trial.number, schedule, read_result(trial))

    def study_of(self, family: str) -> str:
        """Return the name of the Optuna study that has a family's trials."""
        return names.family_name(self.name, family) if self.config.mode == "rank" else self.name

    def frame_of_trials(self, studies: Studies) -> pd.DataFrame:
        """Return the frame of trials that were read; see `trials`."""
        return trials_frame(studies, self._columns(TRIALS))

    def frame_of_curves(self, studies: Studies) -> pd.DataFrame:
        """Return the frame of the curves of trials that were read; see `curves`."""
        return curves_frame(studies, self._columns(CURVES))

    def frame_of_rungs(self, studies: Studies) -> pd.DataFrame:
        """Return the frame of the rungs of trials that were read; see `rungs`."""
        return rungs_frame(studies, self._columns(RUNGS))

    @documents(TRIALS)
    def trials(self) -> pd.DataFrame:
        """Return one row per trial of the search."""
        return self.frame_of_trials(self._read(SCHEDULE, RESULT, OWNER, ATTEMPT))

    @documents(CURVES)
    def curves(self) -> pd.DataFrame:
        """Return one row per evaluation of the search's trials, at their last rungs."""
        return self.frame_of_curves(self._read(SCHEDULE, CURVE))

    @documents(RUNGS)
    def rungs(self) -> pd.DataFrame:
        """Return one row per rung that a trial of the search was trained at."""
        return self.frame_of_rungs(self._read(SCHEDULE, RESULT))

    @documents(TRIALS)
    def checks(self) -> pd.DataFrame:
        """Return one row per trial that checks the rungs."""
        name = names.checks_name(self.name)
        return self.frame_of_trials([(name, self.ended_trials(name))])

    def horizons(self) -> tuple[int, ...]:
        """Return the horizons at which a trial is tried, the full one last."""
        attributes, full = self.attributes, self.config.training.total_steps
        if attributes.get(FIDELITY, {}).get("kind") == "full":
            return (full,)
        return tuple(attributes.get("identity", {}).get("fidelity.horizons", (full,)))

    @property
    def chosen_fidelity(self) -> str | None:
        """The kind of rungs that a pilot chose; None where the study file says it, or not yet."""
        kind: str | None = self.attributes.get(FIDELITY, {}).get("kind")
        return kind

    def _search_ids(self) -> dict[str, int]:
        """Return the ids of the studies that hold trials of the search, by name."""
        beside = names.beside(self.name)
        owned = study_ids(self.storage, self.name)
        return {name: study_id for name, study_id in owned.items() if name not in beside}

    def _read(self, *attributes: str) -> list[tuple[str, list[StoredTrial]]]:
        """Return the search's trials, by study and number, each with some of its attributes."""
        ids = self._search_ids()
        trials = read_trials(self.storage, ids.values(), attributes)
        return [(name, trials[study_id]) for name, study_id in ids.items()]

    def ended(self) -> int:
        """Return how many trials of the search are over."""
        return sum(t.state in FINISHED for _, trials in self._read() for t in trials)

    def studies(self) -> list[tuple[str, list[FrozenTrial]]]:
        """Return the search's trials as Optuna stores them, by study and number."""
        ids = self._search_ids()
        every = {name: self.reader.get_all_trials(i, deepcopy=False) for name, i in ids.items()}
        return [(name, sorted(trials, key=lambda t: t.number)) for name, trials in every.items()]

    def search_trials(self) -> list[FrozenTrial]:
        """Return the trials of the search, as Optuna stores them."""
        return [trial for _, trials in self.studies() for trial in trials]

    def ended_trials(self, study: str) -> list[FrozenTrial]:
        """Return the trials of one of the run's studies that are over, by number."""
        study_id = study_ids(self.storage, self.name).get(study)
        if study_id is None:
            return []
        trials = self.reader.get_all_trials(study_id, deepcopy=False, states=FINISHED)
        return sorted(trials, key=lambda t: t.number)

    def study_attributes(self, study: str) -> dict[str, Any]:
        """Return the system attributes of one of the run's studies; none where it is missing."""
        study_id = study_ids(self.storage, self.name).get(study)
        return {} if study_id is None else self.storage.get_study_system_attrs(study_id)

    def being_searched(self) -> int:
        """Return how many trials of the search a living process trains now."""
        return _trained(self.search_trials())

    def being_trained(self) -> int:
        """Return how many trials a living process trains now, those of all phases."""
        ids = study_ids(self.storage, self.name).values()
        return sum(_trained(self.reader.get_all_trials(i, deepcopy=False)) for i in ids)


def _trained(trials: Iterable[FrozenTrial]) -> int:
    running = (trial for trial in trials if trial.state == TrialState.RUNNING)
    return sum(not abandoned(trial) for trial in running)


def open_run(
    run: str | Path,
    name: str | None = None,
    *,
    runs_dir: str | Path = "runs",
    any_version: bool = False,
) -> Run:
    """Open a run: `open_run(folder)`, or `open_run(storage_url, name)`.

    Args:
        run: the run's folder; a storage's URL where `name` is given.
        name: the run's name in that storage.
        runs_dir: where a bare name is looked for.
        any_version: whether a run of another version is opened too, as to delete it.

    Raises:
        RunError: there is no such run, or another version of schedsearch made it.
        StorageError: its storage does not answer.
    """
    if name is None:
        place = find_place(run, Path(runs_dir))
    else:
        place = find_place(name, Path(runs_dir), str(run))
    opened = Run(*open_place(place))
    if not any_version:
        check_version(opened.name, opened.attributes)
    return opened
