"""A search with rungs that is killed, interrupted, shared, or gone on with."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rung_studies import HORIZONS, RUNGS, with_rungs

from schedsearch import Run, open_run
from schedsearch.errors import RunError
from schedsearch.launch import Outcome
from schedsearch.search.cohort import Cohort
from schedsearch.search.events import AtRung, Event

Launch = Callable[..., Outcome]


def check_whole(run: Run, total: int) -> pd.DataFrame:
    """Check that no trial is lost or double, and that each has its rungs from the first on."""
    trials, rungs = run.trials(), run.rungs()
    assert list(trials["trial"]) == list(range(total))
    assert set(trials["state"]) <= {"finished", "pruned", "diverged"}
    assert not rungs.duplicated(["trial", "horizon"]).any()
    for _, own in rungs.groupby("trial"):
        assert tuple(own["horizon"]) == HORIZONS[: len(own)]
    assert "finished" in set(trials["state"])
    return trials


@pytest.mark.parametrize(("rung", "left"), [(1, 9), (2, 3), (3, 1)])
def test_an_interrupted_cohort_is_finished_by_the_next_call(
    launch: Launch, runs_dir: Path, rung: int, left: int
) -> None:
    """What stayed behind is kept; who had gone on waits, and begins at the first rung again."""

    def stop(event: Event) -> None:
        if isinstance(event, AtRung) and event.rung == rung:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launch(trials=9, run_options={"on_event": stop}, **with_rungs())
    before = open_run(runs_dir / "tiny").trials()
    assert (before["state"] == "waiting").sum() == left
    events: list[Event] = []
    run = launch(trials=9, run_options={"on_event": events.append}, **with_rungs()).run
    trials = check_whole(run, 9)
    again = set(before["trial"][before["state"] == "waiting"])
    assert set(trials["trial"][trials["attempt"] == 2]) == again
    kept = ~before["trial"].isin(again)
    pd.testing.assert_frame_equal(trials[kept], before[kept])
    assert next(e for e in events if isinstance(e, AtRung)) == AtRung(1, 3, left, 20)
    assert trials["state"].value_counts()["finished"] == 1


def test_an_interrupt_within_a_rung_loses_nothing(
    launch: Launch, runs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, kept = Cohort._keep, []

    def interrupted(self: Cohort, *args: Any, **how: Any) -> None:
        keep(self, *args, **how)
        kept.append(args)
        if len(kept) == 11:  # the second of three that went on
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Cohort, "_keep", interrupted)
        with pytest.raises(KeyboardInterrupt):
            launch(trials=9, **with_rungs())
    states = open_run(runs_dir / "tiny").trials()["state"]
    assert (states == "waiting").sum() == 3
    assert (states == "pruned").sum() == 6
    check_whole(launch(trials=9, **with_rungs()).run, 9)


def test_what_stays_behind_is_stored_before_the_next_rung_begins(
    launch: Launch, runs_dir: Path
) -> None:
    """A rung may take hours, and its process may be killed."""
    stored: list[int] = []

    def look(event: Event) -> None:
        if isinstance(event, AtRung):
            states = open_run(runs_dir / "tiny").trials()["state"]
            stored.append(int((states == "pruned").sum()))

    launch(trials=9, run_options={"on_event": look}, **with_rungs())
    assert stored == [0, 6, 8]


def test_after_kill_9_the_same_command_goes_on(
    start: Callable[..., Any],
    cli: Callable[..., tuple[int, str, str]],
    study_file: Callable[..., Path],
    runs_dir: Path,
    wait_until: Callable[..., None],
) -> None:
    training = RUNGS["training"] | {"total_steps": 1500}
    fidelity = RUNGS["fidelity"] | {"rungs": [20, 60]}
    file = study_file(name="killed", trials=9, **with_rungs(training=training, fidelity=fidelity))
    command = ("run", file, "--runs-dir", runs_dir)
    process = start(*command)

    def in_last_rung() -> bool:
        if not (runs_dir / "killed" / "study.db").exists():
            return False
        try:
            states = list(open_run(runs_dir / "killed").trials()["state"])
        except RunError:
            return False
        return states.count("pruned") == 8 and states.count("running") == 1

    wait_until(in_last_rung)
    os.kill(process.pid, signal.SIGKILL)
    process.end()
    code, out, err = cli(*command)
    assert (code, err) == (0, "")
    assert out.count("was left by a process that ended: trained again") == 1
    trials = open_run(runs_dir / "killed").trials()
    assert list(trials["trial"]) == list(range(9))
    assert set(trials["state"]) <= {"finished", "pruned", "diverged"}
    assert "gradient steps" in out
    assert f"of training all 9 trials in full ({(trials['state'] == 'finished').sum()} were" in out


def test_two_processes_share_the_cohorts(
    race: Callable[..., list[tuple[int, str, str]]],
    study_file: Callable[..., Path],
    runs_dir: Path,
) -> None:
    file = study_file(name="shared", trials=27, **with_rungs())
    command = ("run", file, "--runs-dir", runs_dir)
    for code, _, err in race(command, command):
        assert (code, err) == (0, "")
    check_whole(open_run(runs_dir / "shared"), 27)


def test_rungs_are_part_of_what_a_run_is(launch: Launch) -> None:
    launch(trials=9, **with_rungs())
    check_whole(launch(trials=12, **with_rungs()).run, 12)
    with pytest.raises(RunError, match=r"fidelity.kind: 'squeeze' -> 'truncate'"):
        launch(trials=12, **with_rungs("truncate"))
    with pytest.raises(RunError, match=r"fidelity.horizons: \[20, 60, 180\] -> \[60, 180\]"):
        launch(trials=12, **with_rungs(fidelity=RUNGS["fidelity"] | {"rungs": 2}))
    with pytest.raises(RunError, match=r"fidelity.eta: 3 -> None"):
        launch(trials=12, **with_rungs("full"))


def test_a_resumed_study_draws_what_one_drew_that_was_not_interrupted(launch: Launch) -> None:
    search = {"sampler": "TPE", "sampler_args": {"n_startup_trials": 4}, "batch": 9}
    options = with_rungs(search=search)
    launch(name="resumed", trials=9, **options)
    resumed = launch(name="resumed", trials=27, **options).run.trials()
    whole = launch(name="whole", trials=27, **options).run.trials()
    columns = ["trial", "schedule", "state", "val_loss", "horizon", "spent_steps"]
    pd.testing.assert_frame_equal(resumed[columns], whole[columns], check_exact=True)
