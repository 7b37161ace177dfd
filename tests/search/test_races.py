"""Run by several processes or machines at once: no trial is lost, and none is there twice."""

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mid_batch import SLOW, check_complete, count, in_mid_batch
from optuna.storages import _CachedStorage
from optuna.trial import TrialState

from schedsearch import Run, open_run
from schedsearch.launch import Outcome
from schedsearch.search.events import Event, Trained
from schedsearch.store import optuna_tables
from schedsearch.store.connect import open_storage
from schedsearch.store.leases import LEASE, OWNER
from schedsearch.store.optuna_tables import create_running

Launch = Callable[..., Outcome]
Start = Callable[..., Any]
Race = Callable[..., list[tuple[int, str, str]]]
Command = Callable[..., tuple[int, str, str]]
StudyFile = Callable[..., Path]


@pytest.mark.soak  # likewise
def test_two_processes_on_a_fresh_folder_share_the_trials(
    race: Race, study_file: StudyFile, runs_dir: Path
) -> None:
    # a batch almost as large as the run: both ask for nearly all of it, whoever comes first
    file = study_file(name="shared", trials=10, training=SLOW, search={"batch": 8})
    command = ("run", file, "--runs-dir", runs_dir)
    for code, out, err in race(command, command):
        assert (code, err) == (0, "")
        assert "Best trial of each family" in out
    trials = check_complete(open_run(runs_dir / "shared"), 10)
    assert trials["owner"].nunique() == 2, "both trained"


@pytest.mark.soak  # test_phases tries the same, phase by phase
def test_two_processes_take_over_what_a_killed_one_left(
    race: Race,
    start: Start,
    study_file: StudyFile,
    runs_dir: Path,
    wait_until: Callable[..., None],
) -> None:
    study: dict[str, Any] = {"name": "left", "trials": 8, "training": SLOW}
    folder = runs_dir / "left"
    first = start("run", study_file(**study, search={"batch": 4}), "--runs-dir", runs_dir)
    wait_until(lambda: in_mid_batch(folder, 4))
    first.kill()
    left = count(folder, "RUNNING")
    command = ("run", study_file(**study, search={"batch": 1}), "--runs-dir", runs_dir)
    for code, _, err in race(command, command):
        assert (code, err) == (0, "")
    trials = check_complete(open_run(folder), 8)
    again = trials[trials["attempt"] != 1]
    assert list(again["attempt"]) == [2] * left, "each of them was trained once more"
    assert again["owner"].nunique() == 2, "both trained"


@pytest.fixture
def launch_while_another_asks(
    launch: Launch,
    start: Start,
    study_file: StudyFile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[int], Run]:
    """Return a launcher of a study that another machine completes to 3 trials at the worst moment.

    The two have a database in common, and neither folder nor lock: the other comes in between this
    one's look at the trials and the creation of its own.
    """
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    there = ("run", study_file(trials=3), "--runs-dir", tmp_path / "there", "--storage", url)
    came: list[int] = []

    def interposed(*args: Any) -> Any:
        if not came:
            code, _, err = start(*there).end()
            assert (code, err) == (0, "")
            came.append(1)
        return create_running(*args)

    def run(trials: int) -> Run:
        monkeypatch.setattr(optuna_tables, "create_running", interposed)
        here = {"runs_dir": tmp_path / "here", "storage": url}
        outcome = launch(trials=trials, search={"batch": 4}, run_options=here)
        assert came
        return outcome.run

    return run


def test_two_machines_that_ask_at_the_same_moment_draw_different_trials(
    launch_while_another_asks: Callable[[int], Run],
) -> None:
    trials = check_complete(launch_while_another_asks(6), 6)
    assert trials["owner"].nunique() == 2


def test_two_machines_that_ask_at_the_same_moment_keep_to_the_total(
    launch_while_another_asks: Callable[[int], Run],
) -> None:
    trials = launch_while_another_asks(3).trials()
    assert list(trials["state"]) == ["finished"] * 3, "none is created beyond it"


def test_a_waiting_trial_goes_to_the_one_that_is_first(
    launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine takes it between this one's look and its grasp."""

    def stop(event: Event) -> None:
        if isinstance(event, Trained):
            raise KeyboardInterrupt

    search = {"batch": 3}
    with pytest.raises(KeyboardInterrupt):
        launch(trials=3, search=search, run_options={"on_event": stop})
    original = _CachedStorage.set_trial_state_values
    taken: list[int] = []

    def interposed(
        self: _CachedStorage, trial_id: int, state: TrialState, values: Any = None
    ) -> bool:
        if state == TrialState.RUNNING and not taken:
            taken.append(self.get_trial(trial_id).number)
            other = open_storage(str(self._backend.engine.url))
            assert other.set_trial_state_values(trial_id, TrialState.RUNNING)
            other.set_trial_user_attr(trial_id, LEASE, time.time() + 100)
            other.set_trial_user_attr(trial_id, OWNER, "elsewhere:1:1.00")
        return original(self, trial_id, state, values)

    monkeypatch.setattr(_CachedStorage, "set_trial_state_values", interposed)
    trials = launch(trials=3, search=search).run.trials()
    assert taken == [1]
    assert list(trials["state"][:3]) == ["finished", "running", "finished"]
    assert set(trials["state"][3:]) <= {"waiting"}
    assert trials["owner"][1] == "elsewhere:1:1.00"
    assert list(trials["attempt"][:3]) == [1, 1, 2]


def test_trials_of_a_living_process_are_left_alone(
    start: Start, cli: Command, study_file: StudyFile, runs_dir: Path, wait_until: Any
) -> None:
    """A second terminal, when the first holds all the trials, has nothing to do and says so."""
    training = {"total_steps": 100_000, "evals_per_run": 5}  # most of a minute each
    file = study_file(name="held", trials=2, training=training, search={"batch": 4})
    command = ("run", file, "--runs-dir", runs_dir)
    first = start(*command)
    wait_until(lambda: count(runs_dir / "held", "RUNNING") == 2)
    code, out, err = cli(*command)
    trials = open_run(runs_dir / "held").trials()
    assert list(trials["state"]) == ["running", "running"]
    assert list(trials["attempt"]) == [1, 1]
    assert {owner.split(":")[1] for owner in trials["owner"]} == {str(first.pid)}
    assert "2 trials are still being trained by other processes" in out
    assert (code, err) == (0, ""), "that is no mistake of the person's"


def test_owner_names_machine_process_and_start(launch: Launch) -> None:
    owners = set(launch(trials=1).run.trials()["owner"])
    assert len(owners) == 1
    assert re.fullmatch(rf".+:{os.getpid()}:\d+\.\d\d", owners.pop())
