"""Each private piece of Optuna, optuna-dashboard and torch that is used is still as it is known."""

import io
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
from optuna.artifacts import FileSystemArtifactStore
from optuna.storages import InMemoryStorage, RDBStorage
from optuna.storages._rdb import models
from optuna.trial import TrialState
from optuna_dashboard import get_note, save_note, wsgi
from sqlalchemy import Table

from schedsearch import compat
from schedsearch.store import tables
from schedsearch.store.connect import open_storage, sqlite_url


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[RDBStorage]:
    storage = open_storage(sqlite_url(tmp_path / "study.db"))
    yield storage
    storage.remove_session()
    storage.engine.dispose()


@pytest.fixture
def study(storage: RDBStorage) -> optuna.Study:
    return optuna.create_study(storage=storage, study_name="study")


def test_the_storage_of_a_study_is_a_cache_before_the_database(
    study: optuna.Study, storage: RDBStorage
) -> None:
    cached = compat.storage_of(study)
    assert cached is not storage
    assert compat.database_of(cached) is compat.database_of(storage) is storage
    assert compat.database_of(InMemoryStorage()) is None
    assert optuna.load_study(study_name="study", storage=cached).study_name == "study"


def test_ids_are_those_of_the_storage(study: optuna.Study, storage: RDBStorage) -> None:
    study_id = storage.get_study_id_from_name("study")
    assert compat.study_id_of(study) == study_id
    assert [compat.study_id_of(each) for each in storage.get_all_studies()] == [study_id]
    trial = study.ask()
    (frozen,) = study.trials
    trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, 0)
    assert compat.trial_id_of(trial) == compat.trial_id_of(frozen) == trial_id


def test_what_is_not_in_the_storage_is_gone(study: optuna.Study, storage: RDBStorage) -> None:
    study_id = compat.study_id_of(study)
    optuna.delete_study(study_name="study", storage=storage)
    for call in (
        lambda: storage.get_study_system_attrs(study_id),
        lambda: storage.create_new_trial(study_id),
        lambda: storage.get_all_trials(study_id),
        lambda: storage.get_trial(1),
        lambda: optuna.load_study(study_name="study", storage=storage),
    ):
        with pytest.raises(KeyError) as caught:
            call()
        assert compat.is_gone(caught.value)
    assert not compat.is_gone(KeyError("trial"))
    assert not compat.is_gone(ValueError(compat.NOT_FOUND))


def test_an_enqueued_trial_holds_its_parameters(study: optuna.Study) -> None:
    study.enqueue_trial({"x": 0.25})
    (trial,) = study.trials
    assert trial.system_attrs[compat.FIXED_PARAMS] == {"x": 0.25}


# --- the tables --------------------------------------------------------------------------------

MODELS: dict[str, Any] = {
    "studies": models.StudyModel,
    "study_attrs": models.StudySystemAttributeModel,
    "trials": models.TrialModel,
    "params": models.TrialParamModel,
    "values": models.TrialValueModel,
    "intermediate_values": models.TrialIntermediateValueModel,
    "user_attrs": models.TrialUserAttributeModel,
    "system_attrs": models.TrialSystemAttributeModel,
    "version_info": models.VersionInfoModel,
}


@pytest.mark.parametrize("name", MODELS)
def test_a_table_is_that_of_optunas_model(name: str) -> None:
    theirs: Table = MODELS[name].__table__
    ours: Table = getattr(tables.TABLES, name)
    for dialect in ("sqlite", "postgresql"):
        assert tables.shape_of(ours, dialect) == tables.shape_of(theirs, dialect)
    assert ours.name == theirs.name


def test_the_version_of_the_tables_is_the_newest(storage: RDBStorage) -> None:
    assert models.SCHEMA_VERSION == tables.SCHEMA_VERSION
    assert storage.get_head_version() == storage.get_current_version() == tables.MIGRATION


@pytest.mark.parametrize("value", [0.5, 0.0, -1e-300, math.inf, -math.inf, math.nan])
def test_values_are_stored_as_optuna_stores_them(value: float) -> None:
    stored, kind = tables.stored_value(value)
    theirs = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr(value)
    assert (stored, kind) == (theirs[0], theirs[1].name)
    if not math.isnan(value):
        final = models.TrialValueModel.value_to_stored_repr(value)
        assert (stored, kind) == (final[0], final[1].name)


# --- the dashboard's pages ---------------------------------------------------------------------

LONG = "**é** " * 5000


def attrs_written_by_the_dashboard(study: optuna.Study) -> dict[str, Any]:
    return compat.storage_of(study).get_study_system_attrs(compat.study_id_of(study))


def page(study: optuna.Study, storage: RDBStorage, folder: Path) -> Any:
    """Return what the dashboard's application sends of a study."""
    app = wsgi(storage, artifact_store=FileSystemArtifactStore(folder))
    body = b"".join(
        app(
            {
                "REQUEST_METHOD": "GET",
                "PATH_INFO": f"/api/studies/{compat.study_id_of(study)}",
                "QUERY_STRING": "after=0",
                "SERVER_NAME": "here",
                "SERVER_PORT": "80",
                "wsgi.input": io.BytesIO(),
                "wsgi.url_scheme": "http",
            },
            lambda status, headers, error=None: None,
        )
    )
    return json.loads(body)


@pytest.mark.parametrize("body", ["short", LONG])
@pytest.mark.parametrize("of_trial", [False, True])
def test_a_note_is_where_the_dashboard_looks(
    study: optuna.Study, body: str, of_trial: bool
) -> None:
    trial = study.ask() if of_trial else None
    trial_id = None if trial is None else compat.trial_id_of(trial)
    on: Any = trial or study
    attrs: dict[str, Any] = {}
    for text in (LONG, body):
        compat.write_note(attrs, trial_id, text)
    assert compat.read_note(attrs, trial_id) == body
    prefix = compat.note_prefix(trial_id)
    assert all(key.startswith(prefix) for key in attrs)
    assert prefix.startswith(compat.OF_DASHBOARD)
    save_note(on, body)
    theirs = attrs_written_by_the_dashboard(study)
    assert {key.rpartition(":")[0] for key in theirs} == {key.rpartition(":")[0] for key in attrs}
    write(study, attrs)
    assert get_note(on) == body


def write(study: optuna.Study, attrs: dict[str, Any]) -> None:
    """Write attributes of a study, and empty those that it has beside them."""
    storage, study_id = compat.storage_of(study), compat.study_id_of(study)
    for key in storage.get_study_system_attrs(study_id).keys() - attrs.keys():
        storage.set_study_system_attr(study_id, key, compat.emptied(key))
    for key, value in attrs.items():
        storage.set_study_system_attr(study_id, key, value)


def test_figures_notes_and_files_are_on_the_page_and_are_gone_once_emptied(
    study: optuna.Study, storage: RDBStorage, tmp_path: Path
) -> None:
    trial = study.ask()
    study.tell(trial, 0.5)
    trial_id = compat.trial_id_of(trial)
    figure = json.dumps({"data": [{"y": list(range(5000))}], "layout": {}})
    attrs: dict[str, Any] = {}
    compat.write_figure(attrs, "convergence-0", figure)
    assert all(key.startswith(compat.figure_prefix("convergence-0")) for key in attrs)
    assert len(attrs) == math.ceil(len(figure) / 10_000)
    compat.write_note(attrs, None, LONG)
    compat.write_note(attrs, trial_id, "of the trial")
    key = compat.file_key(trial_id, "an-id")
    attrs[key] = compat.described_file("an-id", "rates.png", "image/png")
    write(study, attrs)
    seen = page(study, storage, tmp_path)
    (shown,) = seen["plotly_graph_objects"]
    assert (shown["id"], shown["graph_object"]) == ("convergence-0", figure)
    assert seen["note"]["body"] == LONG
    assert seen["trials"][0]["note"]["body"] == "of the trial"
    (file,) = seen["trials"][0]["artifacts"]
    assert (file["artifact_id"], file["filename"]) == ("an-id", "rates.png")
    write(study, {})
    seen = page(study, storage, tmp_path)
    assert [each["graph_object"] for each in seen["plotly_graph_objects"]] == [""]
    assert (seen["note"]["body"], seen["trials"][0]["note"]["body"]) == ("", "")
    assert seen["trials"][0]["artifacts"] == []


def test_states_have_the_names_that_tables_hold() -> None:
    assert [state.name for state in TrialState] == [
        "RUNNING",
        "COMPLETE",
        "PRUNED",
        "FAIL",
        "WAITING",
    ]


def test_vmap_says_nothing_of_an_operation_that_it_does_one_by_one() -> None:
    scale, weights = torch.ones(3, 1), torch.ones(2, 3, 4)
    normed = torch.vmap(lambda weight: torch._weight_norm(weight, scale, 0))
    functorch: Any = torch._C._functorch
    functorch._set_vmap_fallback_warning_enabled(True)
    with pytest.warns(UserWarning, match="performance drop"):
        normed(weights)
    compat.quiet_vmap()
    normed(weights)  # here a warning is an error
