"""Rank mode killed, interrupted, shared, gone on with: each family keeps its share."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rung_studies import HORIZONS, with_rungs

from schedsearch import Run, open_run
from schedsearch.errors import RunError
from schedsearch.launch import Outcome
from schedsearch.search.cohort import Cohort
from schedsearch.search.events import AtRung, Event, Note
from schedsearch.search.shares import divided
from schedsearch.storage.owners import LEASE, OWNER
from schedsearch.storage.place import study_ids

Launch = Callable[..., Outcome]

FAMILIES = ["StepLR", "Constant", "ExponentialLR"]
RANK: dict[str, Any] = {"mode": "rank", "families": FAMILIES}
DRAWN = ["study", "trial", "schedule"]
REACHED = [*DRAWN, "state", "val_loss"]


def check_whole(run: Run, total: int) -> pd.DataFrame:
    """Check that each family has its share, that no trial is lost, and none double."""
    trials = run.trials()
    assert set(trials["state"]) <= {"finished", "pruned", "diverged"}
    for family, share in zip(FAMILIES, divided(total, len(FAMILIES)), strict=True):
        own = trials[trials["study"] == f"{run.name}/{family}"]
        assert list(own["trial"]) == list(range(share))
        assert set(own["family"]) == {family}
    assert len(trials) == total
    assert trials["schedule"].is_unique
    return trials


@pytest.mark.parametrize("after", [2, 7])
def test_an_interrupted_run_ends_like_one_that_was_not(
    launch: Launch, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    keep, kept = Cohort._keep, []

    def interrupted(self: Cohort, *args: Any, **how: Any) -> None:
        keep(self, *args, **how)
        kept.append(args)
        if len(kept) == after:
            raise KeyboardInterrupt

    options = RANK | {"trials": 11, "search": {"batch": 6}}
    with monkeypatch.context() as patch:
        patch.setattr(Cohort, "_keep", interrupted)
        with pytest.raises(KeyboardInterrupt):
            launch(name="stopped", **options)
    stopped = check_whole(launch(name="stopped", **options).run, 11)
    assert set(stopped["attempt"]) == {1, 2}
    whole = check_whole(launch(name="whole", **options).run, 11)
    for one in (stopped, whole):
        one["study"] = one["family"]
    pd.testing.assert_frame_equal(stopped[REACHED], whole[REACHED], check_exact=True)


@pytest.mark.parametrize(("rung", "left"), [(2, 9), (3, 3)])
def test_who_had_gone_on_begins_again_in_its_own_family(
    launch: Launch, runs_dir: Path, rung: int, left: int
) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, AtRung) and event.rung == rung:
            raise KeyboardInterrupt

    options = with_rungs() | RANK | {"trials": 27}
    with pytest.raises(KeyboardInterrupt):
        launch(run_options={"on_event": stop}, **options)
    before = open_run(runs_dir / "tiny").trials()
    waiting = before[before["state"] == "waiting"]
    assert dict(waiting["family"].value_counts()) == dict.fromkeys(FAMILIES, left // 3)
    run = launch(**options).run
    trials = check_whole(run, 27)
    kept = before["state"] != "waiting"
    pd.testing.assert_frame_equal(trials[kept], before[kept])
    assert dict(trials.query("horizon == 180")["family"].value_counts()) == dict.fromkeys(
        FAMILIES, 1
    )
    rungs = run.rungs()
    assert not rungs.duplicated(["study", "trial", "horizon"]).any()
    for _, own in rungs.groupby(["study", "trial"]):
        assert tuple(own["horizon"]) == HORIZONS[: len(own)]


def test_after_kill_9_the_same_command_goes_on(
    start: Callable[..., Any],
    cli: Callable[..., tuple[int, str, str]],
    study_file: Callable[..., Path],
    runs_dir: Path,
    wait_until: Callable[..., None],
) -> None:
    training = {"total_steps": 400, "evals_per_run": 5, "engine": "reference"}
    file = study_file(trials=9, training=training, search={"batch": 3}, **RANK)
    command = ("run", file, "--runs-dir", runs_dir)
    process = start(*command, "--name", "killed")

    def in_second_batch() -> bool:
        try:
            states = list(open_run(runs_dir / "killed").trials()["state"])
        except RunError:
            return False
        return states.count("running") > 0 and states.count("finished") >= 3

    wait_until(in_second_batch)
    os.kill(process.pid, signal.SIGKILL)
    process.end()
    left = open_run(runs_dir / "killed").trials().query("state == 'running'")
    assert len(left), "it was killed while it trained"
    code, out, err = cli(*command, "--name", "killed")
    assert (code, err) == (0, "")
    for row in left.itertuples():
        assert f"trial {row.trial} of {row.family} was left by a process that ended" in out
    killed = check_whole(open_run(runs_dir / "killed"), 9)
    again = killed[killed["attempt"] == 2][["study", "trial"]]
    assert (
        again.to_records(index=False).tolist()
        == left[["study", "trial"]].to_records(index=False).tolist()
    )
    assert cli(*command, "--name", "whole")[0] == 0
    whole = check_whole(open_run(runs_dir / "whole"), 9)
    assert list(killed["schedule"]) == list(whole["schedule"])


def test_more_trials_are_added_evenly_and_drawn_as_if_they_had_been_asked_at_once(
    launch: Launch,
) -> None:
    """TPE, so that what is drawn depends on what the family reached."""
    search = {"sampler": "TPE", "sampler_args": {"n_startup_trials": 2}, "batch": 3}
    options = RANK | {"search": search}
    few = check_whole(launch(name="grown", trials=6, **options).run, 6)
    grown = check_whole(launch(name="grown", trials=13, **options).run, 13)
    kept = grown[grown["trial"] < 2].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, few)
    whole = check_whole(launch(name="whole", trials=13, **options).run, 13)
    assert list(grown["schedule"]) == list(whole["schedule"])


def test_two_processes_share_each_family(
    race: Callable[..., list[tuple[int, str, str]]],
    study_file: Callable[..., Path],
    runs_dir: Path,
) -> None:
    file = study_file(name="shared", trials=14, search={"batch": 6}, **RANK)
    command = ("run", file, "--runs-dir", runs_dir)
    for code, _, err in race(command, command):
        assert (code, err) == (0, "")
    check_whole(open_run(runs_dir / "shared"), 14)


def test_a_trial_of_a_living_process_elsewhere_is_left_to_it(launch: Launch) -> None:
    run = launch(trials=3, **RANK).run
    ids = study_ids(run.storage, run.name)
    trial_id = run.storage.create_new_trial(ids["tiny/Constant"])
    run.storage.set_trial_user_attr(trial_id, LEASE, 1e12)
    run.storage.set_trial_user_attr(trial_id, OWNER, "elsewhere:1:1.00")
    notes: list[Event] = []
    outcome = launch(trials=6, run_options={"on_event": notes.append}, **RANK)
    assert outcome.test == {}, "the other process concludes the run"
    trials = outcome.run.trials().set_index(["study", "trial"])
    assert list(trials["state"]["tiny/Constant"]) == ["finished", "running"]
    assert list(trials["state"]["tiny/StepLR"]) == ["finished"] * 2
    texts = [note.text for note in notes if isinstance(note, Note)]
    assert "1 trials are still being trained by other processes" in texts
