"""Grouped writes: the same rows as Optuna's own, all of them or none, and nobody's else."""

import math
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import text

from schedsearch.storage import bulk
from schedsearch.storage.bulk import Ended, Sampled, create_running, write_results, write_sampled
from schedsearch.storage.connect import open_storage, sqlite_url
from schedsearch.storage.owners import ATTEMPT, LEASE, OWNER

ME, SOMEBODY = "here/1/2:3:4.00", "elsewhere/1/2:3:4.00"
RUNNING, COMPLETE, PRUNED = TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED
MANY = 10_000

DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "family": CategoricalDistribution(("StepLR", "OneCycleLR", "é")),
    "base_lr": FloatDistribution(1e-3, 1.0, log=True),
    "frac": FloatDistribution(0.0, 1.0, step=0.25),
    "cycles": IntDistribution(1, 9),
    "nesterov": CategoricalDistribution((True, False, None, 0.5)),
}
PARAMS: dict[str, Any] = {
    "family": "é",
    "base_lr": 0.1 + 0.2,
    "frac": 0.75,
    "cycles": 3,
    "nesterov": None,
}
ATTRS: dict[str, Any] = {"s": "é\n'\"%s:x", "t": True, "n": None, "f": 1 / 3, "i": 10**15}
NESTED: Any = {
    "columns": {"step": [1, 2], "loss": [math.inf, -math.inf, 1e-300]},
    "odd key %": [{}],
}

Case = tuple[TrialState, float | None]
CASES: list[Case] = [
    (COMPLETE, 0.1),
    (COMPLETE, math.inf),
    (COMPLETE, -math.inf),
    (COMPLETE, 1e-300),
    (PRUNED, None),
]


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


@pytest.fixture
def study(storage: RDBStorage) -> optuna.Study:
    return optuna.create_study(storage=storage, study_name="study")


def attrs_of(owner: str) -> dict[str, Any]:
    return {OWNER: owner, LEASE: 1.5, ATTEMPT: 1}


def created(study: optuna.Study, count: int, owner: str = ME) -> list[int]:
    """Create running trials, and return their ids."""
    return [
        trial_id
        for trial_id, _ in create_running(
            study._storage, study._study_id, attrs_of(owner), count, MANY
        )
    ]


def ended(trial_id: int, state: TrialState = COMPLETE, value: float | None = 0.5) -> Ended:
    return Ended(trial_id, state, value, {"result": NESTED}, ATTRS)


def by_ours(study: optuna.Study, cases: list[Case]) -> None:
    storage = study._storage
    ids = created(study, len(cases))
    sampled = [Sampled(i, PARAMS, DISTRIBUTIONS, {"schedule": NESTED}) for i in ids]
    assert write_sampled(storage, sampled, ME) == set(ids)
    rows = [ended(i, *case) for i, case in zip(ids, cases, strict=True)]
    assert write_results(storage, rows, ME) == set(ids)


def by_optuna(study: optuna.Study, cases: list[Case]) -> None:
    storage = study._storage
    for state, value in cases:
        trial = study.ask()
        for key, attr in attrs_of(ME).items():
            trial.set_user_attr(key, attr)
        for name, given in PARAMS.items():
            internal = DISTRIBUTIONS[name].to_internal_repr(given)
            storage.set_trial_param(trial._trial_id, name, internal, DISTRIBUTIONS[name])
        for key, attr in {"schedule": NESTED, "result": NESTED}.items():
            storage.set_trial_system_attr(trial._trial_id, key, attr)
        for key, attr in ATTRS.items():
            trial.set_user_attr(key, attr)
        study.tell(trial.number, value, state=None if state == COMPLETE else state)


def content(trial: FrozenTrial) -> dict[str, Any]:
    """Give all that a trial holds but its id and its times."""
    known = {k.lstrip("_"): v for k, v in vars(trial).items()}
    times = ("trial_id", "datetime_start", "datetime_complete")
    return {key: value for key, value in known.items() if key not in times}


def rows(storage: RDBStorage, study: optuna.Study) -> dict[str, Any]:
    """Give all that the tables hold of a study's trials, but for ids and times."""
    columns = {
        "trials": "t.state",
        "trial_params": "param_name, param_value, distribution_json",
        "trial_values": "objective, value, value_type",
        "trial_user_attributes": "a.key, value_json",
        "trial_system_attributes": "a.key, value_json",
        "trial_intermediate_values": "step",
    }
    found = {}
    with storage.engine.connect() as connection:
        for table, names in columns.items():
            joined = f"join {table} a on a.trial_id = t.trial_id"
            query = f"select t.number, {names} from trials t {joined} where t.study_id = :study"
            answer = connection.execute(text(query), {"study": study._study_id})
            found[table] = sorted(map(tuple, answer), key=repr)
    return found


@pytest.fixture
def _far_from_greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_far_from_greenwich")
def test_trials_equal_those_that_optuna_writes(storage: RDBStorage) -> None:
    ours, theirs = (optuna.create_study(storage=storage) for _ in range(2))
    before = datetime.now()
    by_ours(ours, CASES)
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
    monkeypatch.setattr(bulk, "_MOST_IDS", 2)
    by_ours(study, CASES)
    assert [(t.state, t.value) for t in study.trials] == CASES


def test_what_was_written_is_seen_by_a_study_that_has_looked_before(study: optuna.Study) -> None:
    def states() -> list[TrialState]:
        return [trial.state for trial in study.get_trials(deepcopy=False)]

    assert states() == []
    first = study.ask()
    one, other = created(study, 2)
    assert states() == [RUNNING] * 3
    distribution = {"base_lr": DISTRIBUTIONS["base_lr"]}
    write_sampled(study._storage, [Sampled(one, {"base_lr": 0.5}, distribution, {})], ME)
    assert study.get_trials()[1].params == {"base_lr": 0.5}
    write_results(study._storage, [ended(other)], ME)
    assert states() == [RUNNING, RUNNING, COMPLETE]
    study.tell(first, 1.0)
    write_results(study._storage, [ended(one, PRUNED, None)], ME)
    assert states() == [COMPLETE, PRUNED, COMPLETE]
    assert study.best_trial.number == 2
    assert study.get_trials()[2].system_attrs == {"result": NESTED}


def test_trials_of_somebody_else_are_never_written_to(study: optuna.Study) -> None:
    storage = study._storage
    ours, done, waiting, taken, again = created(study, 5)
    study.tell(1, 7.0)
    storage.set_trial_state_values(waiting, TrialState.WAITING)
    storage.set_trial_user_attr(taken, OWNER, SOMEBODY)
    # given up and taken once more by this process's name is in no one's way
    storage.set_trial_state_values(again, TrialState.WAITING)
    storage.set_trial_state_values(again, RUNNING)
    (unowned,) = (storage.create_new_trial(study._study_id),)
    ids = [ours, done, waiting, taken, again, unowned, 10**6]
    before = [content(trial) for trial in study.trials]
    sampled = [Sampled(i, {}, {}, {"schedule": NESTED}) for i in ids]
    assert write_sampled(storage, sampled, ME) == {ours, again}
    assert write_results(storage, [ended(i) for i in ids], ME) == {ours, again}
    assert write_results(storage, [ended(i, COMPLETE, 9.0) for i in ids], ME) == set(), "once"
    after = [content(trial) for trial in study.trials]
    assert [after[i] for i in (1, 2, 3, 5)] == [before[i] for i in (1, 2, 3, 5)]
    assert [(t.state, t.value) for t in (study.trials[0], study.trials[4])] == [(COMPLETE, 0.5)] * 2
    assert write_results(storage, [], ME) == write_sampled(storage, [], ME) == set()


@pytest.mark.parametrize("tables", range(1, 4))
def test_a_result_that_is_interrupted_leaves_nothing(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch, tables: int
) -> None:
    ids = created(study, 2)
    before = [content(trial) for trial in study.trials]
    original, calls = bulk._put, []

    def interrupted(*args: Any) -> None:
        original(*args)
        calls.append(1)
        if len(calls) == tables:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(bulk, "_put", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_results(study._storage, [ended(i) for i in ids], ME)
    assert [content(trial) for trial in study.trials] == before
    assert write_results(study._storage, [ended(i) for i in ids], ME) == set(ids)


def test_what_an_earlier_attempt_left_is_replaced(study: optuna.Study) -> None:
    (trial_id,) = created(study, 1)
    storage, name = study._storage, "cycles"
    study.get_trials()  # Optuna's cache sets parameters only of trials that it has seen
    storage.set_trial_param(trial_id, name, 1.0, DISTRIBUTIONS[name])
    storage.set_trial_system_attr(trial_id, "result", "old")
    storage.set_trial_user_attr(trial_id, "s", "old")
    storage.set_trial_user_attr(trial_id, "kept", 1)
    write_sampled(storage, [Sampled(trial_id, {name: 7}, DISTRIBUTIONS, {})], ME)
    write_results(storage, [ended(trial_id)], ME)
    (trial,) = study.trials
    assert trial.params == {name: 7}
    assert trial.system_attrs == {"result": NESTED}
    assert trial.user_attrs == attrs_of(ME) | ATTRS | {"kept": 1}


def test_no_more_trials_than_the_total_are_created(study: optuna.Study) -> None:
    storage, attrs = study._storage, attrs_of(ME)

    def create(count: int, total: int) -> list[int]:
        made = create_running(storage, study._study_id, attrs, count, total)
        return [number for _, number in made]

    assert create(3, 2) == [0, 1]
    assert create(3, 2) == []
    study.tell(0, state=TrialState.FAIL)
    assert create(3, 2) == [2], "a trial that failed is no trial of the total"
    assert create(0, 9) == create(-1, 9) == []
    assert len(study.trials) == 3


def test_a_study_that_was_deleted_is_optunas_error(study: optuna.Study) -> None:
    (trial_id,) = created(study, 1)
    optuna.delete_study(study_name="study", storage=study._storage)
    with pytest.raises(KeyError, match="Record does not exist"):
        created(study, 1)
    assert write_results(study._storage, [ended(trial_id)], ME) == set()


@pytest.mark.parametrize(
    ("state", "value"),
    [(COMPLETE, math.nan), (PRUNED, math.nan), (COMPLETE, None), (RUNNING, 0.5), (RUNNING, None)],
)
def test_no_end_that_could_not_be_read_back(state: TrialState, value: float | None) -> None:
    with pytest.raises(ValueError, match=r"NaN|value|end as"):
        ended(1, state, value)
