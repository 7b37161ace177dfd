"""What is read directly is what Optuna reads: the same frames and attributes, either way."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
from made_runs import many
from optuna.trial import TrialState
from stored_runs import store_run

from schedsearch import Run, open_run
from schedsearch.compat import storage_of, trial_id_of
from schedsearch.store import reading
from schedsearch.store.leases import ATTEMPT, LEASE, OWNER
from schedsearch.store.place import run_names, study_ids
from schedsearch.store.reading import read_trials, study_attributes

WAYS = (True, False)
USER = (OWNER, LEASE, ATTEMPT)


@pytest.fixture(params=WAYS, ids=["tables", "optuna"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Choose whether the tables are read directly, or by Optuna."""
    monkeypatch.setattr(reading, "knows_tables", lambda storage: request.param)
    return bool(request.param)


@pytest.fixture
def _far_from_greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def made(tmp_path: Path) -> Run:
    """Return a run with trials in every state, beside another run in the same file."""
    run = store_run(tmp_path, {"made": many(12), "made/fidelity": many(2)})
    study = optuna.load_study(study_name="made", storage=run.storage)
    asked = study.ask()
    asked.set_user_attr(OWNER, "me")
    asked.set_user_attr(LEASE, 1.5)
    asked.set_user_attr(ATTEMPT, 2)
    asked.set_user_attr("shown", "elsewhere")
    study.enqueue_trial({"x": 1})
    study.tell(study.ask(), state=TrialState.FAIL)
    return run


@pytest.mark.usefixtures("_far_from_greenwich")
def test_frames_are_those_of_optunas_trials(made: Run, way: bool) -> None:
    studies = made.studies()
    assert [len(trials) for _, trials in studies] == [14]
    for ours, theirs in (
        (made.trials(), made.frame_of_trials(studies)),
        (made.curves(), made.frame_of_curves(studies)),
        (made.rungs(), made.frame_of_rungs(studies)),
    ):
        assert len(ours) == len(theirs)
        pd.testing.assert_frame_equal(ours, theirs)
    assert made.ended() == sum(t.state.is_finished() for t in made.search_trials()) - 1
    assert made.best.trial == made.trials().query("state == 'finished'")["val_loss"].idxmin()


def test_a_trial_has_the_attributes_that_were_asked_for_and_no_others(made: Run, way: bool) -> None:
    study = optuna.load_study(study_name="made", storage=made.storage)
    storage_of(study).set_trial_system_attr(trial_id_of(study.trials[12]), "curve_x:1", "no")
    storage_of(study).set_trial_system_attr(trial_id_of(study.trials[12]), "curve%x:1", "yes")
    ids = study_ids(made.storage, "made")
    found = read_trials(
        made.storage, [*ids.values(), 10**6], ["schedsearch:schedule", "curve%x:", *USER]
    )
    assert {i: len(trials) for i, trials in found.items()} == {
        ids["made"]: 14,
        ids["made/fidelity"]: 2,
        10**6: 0,
    }
    for ours, theirs in zip(found[ids["made"]], study.trials, strict=True):
        assert (ours.trial_id, ours.number) == (trial_id_of(theirs), theirs.number)
        assert ours.state == theirs.state
        assert ours.system_attrs.items() <= theirs.system_attrs.items()
    assert set(found[ids["made"]][0].system_attrs) == {"schedsearch:schedule"}
    assert found[ids["made"]][12].system_attrs == {"curve%x:1": "yes"}
    assert found[ids["made"]][12].user_attrs == {OWNER: "me", LEASE: 1.5, ATTEMPT: 2}
    plain = read_trials(made.storage, [ids["made"]], [LEASE])[ids["made"]]
    assert [trial.system_attrs for trial in plain] == [{}] * 14
    assert plain[12].user_attrs == {LEASE: 1.5}


def test_runs_and_their_studies_are_found(made: Run, tmp_path: Path, way: bool) -> None:
    optuna.create_study(storage=made.storage, study_name="a stranger's")
    assert run_names(made.storage) == {"made"}
    ids = study_ids(made.storage, "made")
    assert list(ids) == ["made", "made/fidelity"]
    assert ids["made"] == made.storage.get_study_id_from_name("made")
    assert study_ids(made.storage, "a stranger's") == {}
    attributes = study_attributes(made.storage, ids["made"], "schedsearch:")
    assert attributes == made.storage.get_study_system_attrs(ids["made"])
    assert attributes["schedsearch:run"] == "made"
    assert study_attributes(made.storage, ids["made"], "schedsearch_") == {}
    with pytest.raises(KeyError, match="does not exist"):
        study_attributes(made.storage, 10**6, "schedsearch:")


def test_reading_a_thousand_trials_takes_few_statements(
    made: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of statements depends neither on the trials nor on the studies."""
    from sqlalchemy import event

    said: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        said.append(statement)

    run = open_run(made.place.folder or "")
    reading.knows_tables(run.storage)
    event.listen(run.storage.engine, "before_cursor_execute", note)
    counts: dict[str, int] = {}
    calls: dict[str, Callable[[], object]] = {
        "trials": run.trials,
        "curves": run.curves,
        "attributes": lambda: run.attributes,
    }
    for name, call in calls.items():
        said.clear()
        call()
        counts[name] = len([s for s in said if s.lower().startswith("select")])
    # the first frame also asks what the run measures, once
    assert counts == {"trials": 5, "curves": 2, "attributes": 2}
