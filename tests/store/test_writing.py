"""Which writer a storage gets: the fast one only where Optuna's tables are as they are known."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage
from optuna.trial import TrialState

from schedsearch.compat import storage_of, study_id_of
from schedsearch.store import optuna_tables, public_api, writing
from schedsearch.store.connect import open_storage, sqlite_url
from schedsearch.store.leases import OWNER
from schedsearch.store.tables import found_shape, known_shape
from schedsearch.store.writing import Finished, Sampled, Writer, writer_of


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a SQLite file with a study of Optuna's."""
    path = tmp_path / "study.db"
    storage = open_storage(sqlite_url(path))
    optuna.create_study(storage=storage, study_name="study")
    storage.engine.dispose()
    return path


@pytest.fixture
def opened(file: Path) -> Iterator[Callable[[], RDBStorage]]:
    """Return a function that opens the file as it is then."""
    storages = []

    def call() -> RDBStorage:
        storages.append(open_storage(sqlite_url(file)))
        return storages[-1]

    yield call
    for storage in storages:
        storage.remove_session()
        storage.engine.dispose()


def change(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def test_the_tables_of_this_optuna_are_known(opened: Callable[[], RDBStorage]) -> None:
    storage = opened()
    for each in (storage, optuna.storages.get_storage(storage)):
        writer = writer_of(each)
        assert (writer.way, writer.note, writer.storage) == (optuna_tables, None, each)
    assert found_shape(storage.engine) == known_shape("sqlite")


def test_those_in_postgresql_are_known_with_their_enumerations(database: str) -> None:
    storage = open_storage(database)
    assert writer_of(storage).note is None
    shape = found_shape(storage.engine)
    assert shape == known_shape("postgresql")
    assert shape["trials"]["state"] == "one of RUNNING, COMPLETE, PRUNED, FAIL, WAITING required"
    storage.remove_session()
    storage.engine.dispose()


CHANGES = {
    "column that must be given": "alter table trials add priority integer not null default 0",
    "column that may be given": "alter table trial_params add column unit varchar(9)",
    "name of a column": "alter table trial_values rename column value to number",
    "table": "alter table trial_system_attributes rename to trial_system_attrs",
    "version": "update version_info set schema_version = 13",
    "no version": "delete from version_info",
}


@pytest.mark.parametrize("changed", CHANGES)
def test_another_shape_is_written_through_the_public_interface(
    file: Path, opened: Callable[[], RDBStorage], changed: str
) -> None:
    storage = opened()  # Optuna itself refuses to open some of them
    change(file, CHANGES[changed])
    writer = writer_of(storage)
    assert writer.way is public_api
    assert writer.note is not None
    assert writer.note.startswith("Optuna's ")
    assert "slower" in writer.note
    assert len(writer.note.splitlines()) == 1


def test_a_column_more_is_named_and_trials_are_still_written(
    file: Path, opened: Callable[[], RDBStorage]
) -> None:
    change(file, CHANGES["column that must be given"])
    storage = opened()
    writer = writer_of(optuna.storages.get_storage(storage))
    assert writer.note == (
        "Optuna's tables have another shape (trials.priority is integer required, and known is: "
        "unknown): trials are written through Optuna's public interface, which is slower "
        "(a newer schedsearch may know them)"
    )
    study_id = storage.get_study_id_from_name("study")
    ((trial_id, number),) = writer.create_running(study_id, {OWNER: "me"}, 1, 1)
    assert writer.write_sampled([Sampled(trial_id, {}, {}, {"a": 1})], "me") == {trial_id}
    end = Finished(trial_id, TrialState.COMPLETE, 0.5, {"b": 2}, {"c": 3})
    assert writer.write_results([end], "me") == {trial_id}
    (trial,) = storage.get_all_trials(study_id)
    assert (trial.number, trial.value, trial.system_attrs) == (number, 0.5, {"a": 1, "b": 2})


def test_a_storage_without_tables_is_written_through_the_public_interface() -> None:
    storage: BaseStorage = InMemoryStorage()
    writer = writer_of(storage)
    assert writer.way is public_api
    assert str(writer.note).startswith("the storage is no database but InMemoryStorage")
    study = optuna.create_study(storage=storage)
    assert writer.create_running(study_id_of(study), {}, 2, 1) == [(0, 0)]


def test_a_test_can_choose_the_slower_way(
    opened: Callable[[], RDBStorage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "known_shape", lambda dialect: {"trials": {}})
    assert writer_of(opened()).way is public_api


@pytest.mark.parametrize("way", [optuna_tables, public_api], ids=["tables", "public"])
def test_attributes_of_a_study_are_edited(opened: Callable[[], RDBStorage], way: Any) -> None:
    """The public interface deletes none: what is taken away is what the dashboard shows not."""
    study = optuna.load_study(study_name="study", storage=opened())
    storage, study_id = storage_of(study), study_id_of(study)
    writer = Writer(storage, way)
    stored: dict[str, Any] = {"dashboard:a": "x", "dashboard:b": [1], "other": 1}
    for key, value in stored.items():
        storage.set_study_system_attr(study_id, key, value)
    with writer.editing_attrs(study_id, ("dashboard:", "our:")) as attrs:
        assert attrs == {"dashboard:a": "x", "dashboard:b": [1]}
        attrs["dashboard:b"].append(2)
        attrs["our:new"] = {"n": None}
        del attrs["dashboard:a"]
    with writer.editing_attrs(study_id, ("dashboard:", "our:")) as attrs:
        assert attrs == {"dashboard:b": [1, 2], "our:new": {"n": None}}
    assert storage.get_study_system_attrs(study_id)["other"] == 1
    with pytest.raises(KeyError, match="does not exist"), writer.editing_attrs(99, ("a",)):
        pass
