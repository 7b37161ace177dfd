"""Processes that create trials at once, with Optuna's own storage in between: exact numbers."""

import json
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import optuna
import pytest
from optuna.trial import TrialState

from schedsearch.compat import trial_id_of
from schedsearch.store.connect import open_storage, sqlite_url
from schedsearch.store.leases import OWNER

CREATOR = """
import json, time
from pathlib import Path
from schedsearch.store import optuna_tables, public_api
from schedsearch.store.connect import open_storage
storage = open_storage(url)
study_id = storage.get_study_id_from_name("study")
way = public_api if public else optuna_tables
Path(f"{place}.ready").touch()
while not Path(gate).exists():
    time.sleep(0.001)
made = []
for _ in range(rounds):
    made += way.create_running(storage, study_id, {"owner": place}, 5, total)
    if optunas:
        trial_id = storage.create_new_trial(study_id)
        made.append((trial_id, storage.get_trial(trial_id).number))
Path(place).write_text(json.dumps(made))
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "study.db")
    return str(request.getfixturevalue("database"))


@pytest.fixture
def study(url: str) -> Iterator[optuna.Study]:
    storage = open_storage(url)
    yield optuna.create_study(storage=storage, study_name="study")
    storage.remove_session()
    storage.engine.dispose()


@pytest.fixture
def creators(
    forks: Any, url: str, tmp_path: Path, wait_until: Callable[..., None]
) -> Callable[..., list[tuple[int, int]]]:
    """Return a runner of processes that create trials at once; it gives each id and number."""
    script = tmp_path / "creator.py"
    script.write_text(CREATOR)

    def run(**given: Any) -> list[tuple[int, int]]:
        gate = tmp_path / uuid4().hex
        places = [tmp_path / f"creator-{i}" for i in range(3)]
        processes = []
        for place in places:
            names = {"url": url, "gate": str(gate), "place": str(place)} | given
            target = (str(script), names, "__main__")
            processes.append(forks.Process(target=runpy.run_path, args=target))
            processes[-1].start()
        wait_until(lambda: all(p.with_suffix(".ready").exists() for p in places))
        gate.touch()
        for process in processes:
            process.join(60)
            assert process.exitcode == 0
        return [tuple(pair) for place in places for pair in json.loads(place.read_text())]

    return run


each_way = pytest.mark.parametrize("public", [False, True], ids=["tables", "public"])


@each_way
def test_processes_that_create_at_once_share_no_number_and_skip_none(
    study: optuna.Study, creators: Callable[..., list[tuple[int, int]]], public: bool
) -> None:
    """They call Optuna's own storage in between."""
    made = creators(rounds=8, optunas=True, total=10_000, public=public)
    trials = study.get_trials()
    assert [trial.number for trial in trials] == list(range(3 * 8 * 6))
    assert sorted(made) == sorted((trial_id_of(trial), trial.number) for trial in trials)
    owners = {trial.user_attrs.get(OWNER) for trial in trials}
    assert len(owners) == 4, "three creators, and Optuna's own without a name"


@each_way
def test_processes_that_create_at_once_keep_to_the_total(
    study: optuna.Study, creators: Callable[..., list[tuple[int, int]]], public: bool
) -> None:
    """Through Optuna's public interface one too many may be created, and ends as failed."""
    made = creators(rounds=3, optunas=False, total=17, public=public)
    trials = study.get_trials()
    failed = [trial for trial in trials if trial.state == TrialState.FAIL]
    assert len(failed) <= (2 * 3 if public else 0)
    assert len(trials) - len(failed) == len(made) == 17
    numbers = {trial.number for trial in trials} - {trial.number for trial in failed}
    assert sorted(number for _, number in made) == sorted(numbers)
