"""Both writers: the same trials as Optuna's own, and never a trial of somebody else's."""

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from written_trials import (
    ATTRS,
    CASES,
    COMPLETE,
    DISTRIBUTIONS,
    ME,
    NESTED,
    PRUNED,
    RUNNING,
    SOMEBODY,
    attrs_of,
    by_optuna,
    by_ours,
    content,
    created,
    ended,
    rows,
)

from schedsearch.compat import storage_of, study_id_of
from schedsearch.store import optuna_tables, public_api
from schedsearch.store.connect import open_storage, sqlite_url
from schedsearch.store.leases import OWNER
from schedsearch.store.writing import Sampled, Writer


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "study.db")
    return str(request.getfixturevalue("database"))


@pytest.fixture
def storage(url: str) -> Iterator[RDBStorage]:
    storage = open_storage(url)
    yield storage
    storage.remove_session()
    storage.engine.dispose()


@pytest.fixture(params=[optuna_tables, public_api], ids=["tables", "public"])
def way(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def study(storage: RDBStorage) -> optuna.Study:
    return optuna.create_study(storage=storage, study_name="study")


@pytest.fixture
def writer(study: optuna.Study, way: Any) -> Writer:
    return Writer(storage_of(study), way)


@pytest.fixture
def _far_from_greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_far_from_greenwich")
def test_trials_equal_those_that_optuna_writes(storage: RDBStorage, way: Any) -> None:
    ours, theirs = (optuna.create_study(storage=storage) for _ in range(2))
    before = datetime.now()
    by_ours(way, ours, CASES)
    by_optuna(theirs, CASES)
    after = datetime.now()
    assert [content(t) for t in ours.trials] == [content(t) for t in theirs.trials]
    assert [t.number for t in ours.trials] == list(range(len(CASES)))
    assert rows(storage, ours) == rows(storage, theirs)
    for trial in (*ours.trials, *theirs.trials):
        assert trial.datetime_start is not None
        assert trial.datetime_complete is not None
        assert before <= trial.datetime_start <= trial.datetime_complete <= after
    assert ours.best_value == theirs.best_value == -math.inf


def test_more_trials_than_a_statement_names(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optuna_tables, "_MOST_IDS", 2)
    by_ours(optuna_tables, study, CASES)
    assert [(t.state, t.value) for t in study.trials] == CASES


def test_what_was_written_is_seen_by_a_study_that_has_looked_before(
    writer: Writer, study: optuna.Study
) -> None:
    def states() -> list[TrialState]:
        return [trial.state for trial in study.get_trials(deepcopy=False)]

    assert states() == []
    first = study.ask()
    one, other = created(writer, study, 2)
    assert states() == [RUNNING] * 3
    distribution = {"peak_lr": DISTRIBUTIONS["peak_lr"]}
    writer.write_sampled([Sampled(one, {"peak_lr": 0.5}, distribution, {})], ME)
    assert study.get_trials()[1].params == {"peak_lr": 0.5}
    writer.write_results([ended(other)], ME)
    assert states() == [RUNNING, RUNNING, COMPLETE]
    study.tell(first, 1.0)
    writer.write_results([ended(one, PRUNED, None)], ME)
    assert states() == [COMPLETE, PRUNED, COMPLETE]
    assert study.best_trial.number == 2
    assert study.get_trials()[2].system_attrs == {"result": NESTED}


def test_trials_of_somebody_else_are_never_written_to(writer: Writer, study: optuna.Study) -> None:
    storage = storage_of(study)
    ours, done, waiting, taken, again = created(writer, study, 5)
    study.tell(1, 7.0)
    storage.set_trial_state_values(waiting, TrialState.WAITING)
    storage.set_trial_user_attr(taken, OWNER, SOMEBODY)
    # given up and taken once more by this process's name is in no one's way
    storage.set_trial_state_values(again, TrialState.WAITING)
    storage.set_trial_state_values(again, RUNNING)
    (unowned,) = (storage.create_new_trial(study_id_of(study)),)
    ids = [ours, done, waiting, taken, again, unowned, 10**6]
    before = [content(trial) for trial in study.trials]
    sampled = [Sampled(i, {}, {}, {"schedule": NESTED}) for i in ids]
    assert writer.write_sampled(sampled, ME) == {ours, again}
    assert writer.write_results([ended(i) for i in ids], ME) == {ours, again}
    assert writer.write_results([ended(i, COMPLETE, 9.0) for i in ids], ME) == set(), "once"
    after = [content(trial) for trial in study.trials]
    assert [after[i] for i in (1, 2, 3, 5)] == [before[i] for i in (1, 2, 3, 5)]
    assert [(t.state, t.value) for t in (study.trials[0], study.trials[4])] == [(COMPLETE, 0.5)] * 2
    assert writer.write_results([], ME) == writer.write_sampled([], ME) == set()


@pytest.mark.parametrize("tables", range(1, 4))
def test_a_result_that_is_interrupted_leaves_nothing(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch, tables: int
) -> None:
    writer = Writer(storage_of(study), optuna_tables)
    ids = created(writer, study, 2)
    before = [content(trial) for trial in study.trials]
    original, calls = optuna_tables._put, []

    def interrupted(*args: Any) -> None:
        original(*args)
        calls.append(1)
        if len(calls) == tables:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(optuna_tables, "_put", interrupted)
        with pytest.raises(KeyboardInterrupt):
            writer.write_results([ended(i) for i in ids], ME)
    assert [content(trial) for trial in study.trials] == before
    assert writer.write_results([ended(i) for i in ids], ME) == set(ids)


def test_what_an_earlier_attempt_left_is_replaced(writer: Writer, study: optuna.Study) -> None:
    (trial_id,) = created(writer, study, 1)
    storage = storage_of(study)
    for step, attr in ((5, "old"), (6, "older")):
        storage.set_trial_intermediate_value(trial_id, step, 9.0)
        storage.set_trial_system_attr(trial_id, "result", attr)
    storage.set_trial_user_attr(trial_id, "s", "old")
    storage.set_trial_user_attr(trial_id, "kept", 1)
    writer.write_sampled([Sampled(trial_id, {"cycles": 7}, DISTRIBUTIONS, {})], ME)
    writer.write_results([replace(ended(trial_id), intermediate_values={5: 0.5})], ME)
    (trial,) = study.trials
    assert trial.params == {"cycles": 7}
    assert trial.intermediate_values == {5: 0.5, 6: 9.0}
    assert trial.system_attrs == {"result": NESTED}
    assert trial.user_attrs == attrs_of(ME) | ATTRS | {"kept": 1}


def test_parameters_that_an_earlier_attempt_left_are_never_mixed_with_others(
    writer: Writer, study: optuna.Study, way: Any
) -> None:
    """The tables let them be replaced; Optuna's public interface does not, and the trial fails."""
    (trial_id,) = created(writer, study, 1)
    study.get_trials()  # Optuna's cache sets parameters only of trials that it has seen
    storage_of(study).set_trial_param(trial_id, "cycles", 1.0, DISTRIBUTIONS["cycles"])
    sampled = Sampled(trial_id, {"cycles": 7, "frac": 0.5}, DISTRIBUTIONS, {"schedule": NESTED})
    ours = writer.write_sampled([sampled], ME)
    (trial,) = study.trials
    if way is optuna_tables:
        assert (ours, trial.state) == ({trial_id}, RUNNING)
        assert trial.params == {"cycles": 7, "frac": 0.5}
    else:
        assert (ours, trial.state) == (set(), TrialState.FAIL)
        assert (trial.params, trial.system_attrs) == ({"cycles": 1}, {})
        assert len(created(writer, study, 1)) == 1, "another one takes its place"


def test_no_more_trials_than_the_total_are_created(writer: Writer, study: optuna.Study) -> None:
    attrs = attrs_of(ME)

    def create(count: int, total: int) -> list[int]:
        made = writer.create_running(study_id_of(study), attrs, count, total)
        return [number for _, number in made]

    assert create(3, 2) == [0, 1]
    assert create(3, 2) == []
    study.tell(0, state=TrialState.FAIL)
    assert create(3, 2) == [2], "a trial that failed is no trial of the total"
    assert create(0, 9) == create(-1, 9) == []
    assert len(study.trials) == 3


def test_a_study_that_was_deleted_is_optunas_error(writer: Writer, study: optuna.Study) -> None:
    (trial_id,) = created(writer, study, 1)
    optuna.delete_study(study_name="study", storage=storage_of(study))
    with pytest.raises(KeyError, match="Record does not exist"):
        created(writer, study, 1)
    assert writer.write_results([ended(trial_id)], ME) == set()


@pytest.mark.parametrize(
    ("state", "value"),
    [(COMPLETE, math.nan), (PRUNED, math.nan), (COMPLETE, None), (RUNNING, 0.5), (RUNNING, None)],
)
def test_no_end_that_could_not_be_read_back(state: TrialState, value: float | None) -> None:
    with pytest.raises(ValueError, match=r"NaN|value|end as"):
        ended(1, state, value)
