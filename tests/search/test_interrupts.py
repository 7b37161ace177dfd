"""Killed, interrupted, or run twice at once: no trial is lost, and none is there twice."""

import os
import re
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from optuna.storages import _CachedStorage
from optuna.trial import TrialState

from schedsearch import Run, open_run
from schedsearch.launch import Outcome
from schedsearch.search.events import Event, Trained
from schedsearch.storage import bulk
from schedsearch.storage.connect import open_storage
from schedsearch.storage.owners import LEASE, OWNER

Launch = Callable[..., Outcome]
Start = Callable[..., Any]
Race = Callable[..., list[tuple[int, str, str]]]
Command = Callable[..., tuple[int, str, str]]
StudyFile = Callable[..., Path]

# Trials that are long enough for a process to be found in the middle of one.
SLOW = {"total_steps": 500, "evals_per_run": 5}


def count(folder: Path, state: str, *, like: str = "%") -> int:
    """Count trials in a run's SQLite file, as cheaply as can be."""
    query = (
        "select count(distinct t.trial_id) from trials t "
        "join trial_user_attributes a on a.trial_id = t.trial_id "
        "where t.state = ? and a.key = 'owner' and a.value_json like ?"
    )
    try:
        with closing(sqlite3.connect(folder / "study.db", timeout=30)) as database:
            return int(database.execute(query, (state, like)).fetchone()[0])
    except sqlite3.OperationalError:  # no file or no table yet
        return 0


def in_mid_batch(folder: Path, batch: int) -> bool:
    """Say whether a batch after the first is being trained (it was asked a moment ago)."""
    done = count(folder, "COMPLETE")
    asked = done >= batch and done % batch == 0 and count(folder, "RUNNING") == batch
    time.sleep(0.03 * asked)
    return asked


def check_complete(run: Run, total: int) -> pd.DataFrame:
    """Check that a run holds its total: none lost, none double, none failed, none repeated."""
    trials = run.trials()
    done = trials[trials["state"].isin(["finished", "diverged", "pruned"])]
    assert list(done["trial"]) == list(range(total))
    assert set(trials["state"]) <= {"finished", "diverged", "waiting"}
    assert done["schedule"].is_unique, "a draw was repeated"
    curves = run.curves()
    own = curves[curves["trial"].isin(done["trial"][done["state"] == "finished"])]
    assert (own.groupby("trial")["step"].count() == 5).all()
    assert not own.duplicated(["trial", "step"]).any()
    return trials


@pytest.mark.parametrize("engine", ["reference", "fused"])
def test_after_kill_9_the_same_command_goes_on_to_the_same_total(
    start: Start,
    cli: Command,
    study_file: StudyFile,
    runs_dir: Path,
    wait_until: Callable[..., None],
    engine: str,
) -> None:
    training = SLOW | {"engine": engine}
    file = study_file(name="killed", trials=9, training=training, search={"batch": 3})
    command = ("run", file, "--runs-dir", runs_dir)
    process = start(*command)
    folder = runs_dir / "killed"
    wait_until(lambda: in_mid_batch(folder, 3))
    process.kill()
    assert open_run(folder).attributes["engine"]["kind"] == engine
    before = open_run(folder).trials()
    left = set(before["trial"][before["state"] == "running"])
    assert left, "it was killed while it trained"
    done = before[before["state"] == "finished"]

    code, out, err = cli(*command)
    assert (code, err) == (0, "")
    for number in left:
        assert f"trial {number} was left by a process that ended" in out
    trials = check_complete(open_run(folder), 9)
    assert set(trials["trial"][trials["attempt"] == 2]) == left
    assert set(trials["state"]) <= {"finished", "diverged"}
    kept = trials[trials["trial"].isin(done["trial"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, done.reset_index(drop=True))
    assert (folder / "best.json").is_file()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
def test_a_signal_ends_the_search_cleanly_and_the_next_call_finishes_it(
    start: Start,
    cli: Command,
    study_file: StudyFile,
    runs_dir: Path,
    wait_until: Callable[..., None],
    sent: signal.Signals,
) -> None:
    file = study_file(name="stopped", trials=9, training=SLOW, search={"batch": 3})
    command = ("run", file, "--runs-dir", runs_dir)
    process = start(*command)
    folder = runs_dir / "stopped"
    wait_until(lambda: in_mid_batch(folder, 3))
    os.kill(process.pid, sent)
    code, _, err = process.end()
    assert code == 130
    assert len(err.splitlines()) == 1, err
    assert "interrupted" in err
    states = list(open_run(folder).trials()["state"])
    assert set(states) == {"finished", "waiting"}
    finished = states.count("finished")

    code, out, err = cli(*command)
    assert (code, err) == (0, "")
    assert "was left by" not in out, "they were given back, not left"
    assert f"{finished} finished before" in out
    trials = check_complete(open_run(folder), 9)
    assert set(trials["attempt"]) == {1, 2}


@pytest.mark.parametrize("after", [2, 4])
def test_an_interrupted_study_ends_like_one_that_was_not(launch: Launch, after: int) -> None:
    """What was given back is trained as it was drawn, and what is new is drawn anew."""
    search = {"batch": 3}

    def stop(event: Event) -> None:
        if isinstance(event, Trained) and event.finished == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launch(name="stopped", trials=7, search=search, run_options={"on_event": stop})
    stopped = check_complete(launch(name="stopped", trials=7, search=search).run, 7)
    whole = check_complete(launch(name="whole", trials=7, search=search).run, 7)
    columns = ["trial", "schedule", "state", "val_loss", "val_accuracy"]
    pd.testing.assert_frame_equal(stopped[columns], whole[columns], check_exact=True)


@pytest.mark.parametrize("sampler", ["random", "QMC"])
def test_a_trial_that_was_created_and_not_drawn_is_drawn_under_its_number(
    launch: Launch, monkeypatch: pytest.MonkeyPatch, runs_dir: Path, sampler: str
) -> None:
    """Killed between the creation of a batch and its parameters: all of them, or none."""
    search = {"batch": 2, "sampler": sampler}
    study: dict[str, Any] = {"families": ["StepLR", "OneCycleLR"], "search": search}
    calls: list[int] = []

    def interrupted(*args: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return bulk.write_sampled(*args)

    with monkeypatch.context() as patch:
        patch.setattr("schedsearch.search.asking.write_sampled", interrupted)
        with pytest.raises(KeyboardInterrupt):
            launch(name="half", trials=5, **study)
    storage = open_run(runs_dir / "half").storage
    stored = storage.get_all_trials(storage.get_study_id_from_name("half"))
    assert [t.state for t in stored[2:]] == [TrialState.WAITING] * 2
    assert [(t.params, t.system_attrs) for t in stored[2:]] == [({}, {})] * 2
    half = check_complete(launch(name="half", trials=5, **study).run, 5)
    assert list(half["attempt"]) == [1, 1, 2, 2, 1]
    if sampler == "random":  # a QMC sequence has gone on by two points
        whole = check_complete(launch(name="whole", trials=5, **study).run, 5)
        columns = ["trial", "schedule", "state", "val_loss"]
        pd.testing.assert_frame_equal(half[columns], whole[columns], check_exact=True)


def test_an_interrupt_while_a_result_is_stored_gives_the_trial_back_too(
    launch: Launch, monkeypatch: pytest.MonkeyPatch, runs_dir: Path
) -> None:
    def interrupt(*args: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("schedsearch.search.results.write_results", interrupt)
        with pytest.raises(KeyboardInterrupt):
            launch(trials=2)
    assert set(open_run(runs_dir / "tiny").trials()["state"]) == {"waiting"}
    check_complete(launch(trials=2).run, 2)


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
        return bulk.create_running(*args)

    def run(trials: int) -> Run:
        monkeypatch.setattr("schedsearch.search.asking.create_running", interposed)
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
