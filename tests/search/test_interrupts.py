"""Signals and kills of the command; test_phases.py has the same for every phase."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mid_batch import SLOW, check_complete, in_mid_batch
from optuna.trial import TrialState

from schedsearch import open_run
from schedsearch.launch import Outcome
from schedsearch.store import optuna_tables
from schedsearch.store.optuna_tables import write_sampled

Launch = Callable[..., Outcome]
Start = Callable[..., Any]
Command = Callable[..., tuple[int, str, str]]
StudyFile = Callable[..., Path]


@pytest.mark.parametrize("engine", [pytest.param("reference", marks=pytest.mark.soak), "fused"])
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
        return write_sampled(*args)

    with monkeypatch.context() as patch:
        patch.setattr(optuna_tables, "write_sampled", interrupted)
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
        patch.setattr(optuna_tables, "write_results", interrupt)
        with pytest.raises(KeyboardInterrupt):
            launch(trials=2)
    assert set(open_run(runs_dir / "tiny").trials()["state"]) == {"waiting"}
    check_complete(launch(trials=2).run, 2)
