"""Several processes confirm at once, or one is killed: each pair is trained, and once."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from confirmations import SMALL, check_whole, stored
from optuna.trial import TrialState

from schedsearch import open_run
from schedsearch.launch import Outcome
from schedsearch.storage.owners import ATTEMPT, OWNER

Launch = Callable[..., Outcome]
Race = Callable[..., list[tuple[int, str, str]]]
StudyFile = Callable[..., Path]


def test_two_processes_that_end_at_once_train_each_pair_once(
    race: Race, study_file: StudyFile, runs_dir: Path
) -> None:
    training = {"total_steps": 300, "engine": "reference"}
    file = study_file(name="shared", **SMALL | {"training": training, "search": {"batch": 1}})
    command = ("run", file, "--runs-dir", runs_dir)
    ends = race(command, command)
    assert [(code, err) for code, _, err in ends] == [(0, ""), (0, "")]
    assert any("Winner" in out for _, out, _ in ends), "the one that ended last concluded"
    run = open_run(runs_dir / "shared")
    done = check_whole(run)
    assert {t.user_attrs[ATTEMPT] for t in done} == {1}
    assert run.confirmed_now is not None


def test_two_processes_share_a_confirmation(race: Race, launch: Launch, runs_dir: Path) -> None:
    outcome = launch(trials=4, training={"total_steps": 300, "engine": "reference"})
    outcome.run.storage.engine.dispose()
    command = ("confirm", runs_dir / "tiny", "--seeds", 4, "--finalists", 2)
    ends = race(command, command)
    assert [(code, err) for code, _, err in ends] == [(0, ""), (0, "")]
    done = check_whole(open_run(runs_dir / "tiny"))
    assert len({t.user_attrs[OWNER] for t in done}) == 2, "both trained"
    assert any("Confirmed on 4 fresh seeds" in out for _, out, _ in ends)


def test_two_machines_train_each_pair_once(
    race: Race, study_file: StudyFile, tmp_path: Path
) -> None:
    """They have a database in common, and neither a folder nor a lock."""
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    file = study_file(name="shared", **SMALL | {"search": {"batch": 1}})
    ends = race(
        *(("run", file, "--runs-dir", tmp_path / m, "--storage", url) for m in ("here", "there"))
    )
    assert [(code, err) for code, _, err in ends] == [(0, ""), (0, "")]
    run = open_run(url, "shared")
    check_whole(run)
    assert run.confirmed_now is not None


def in_the_middle(folder: Path) -> bool:
    """Say, as cheaply as can be, whether some of what is confirmed has ended, and some runs."""
    query = (
        "select t.state, count(*) from trials t join studies s on s.study_id = t.study_id "
        "where s.study_name like '%/confirmation' group by t.state"
    )
    try:
        with closing(sqlite3.connect(folder / "study.db", timeout=30)) as database:
            counts: dict[str, int] = dict(database.execute(query).fetchall())
    except sqlite3.OperationalError:  # no file or no table yet
        return False
    return counts.get("RUNNING", 0) > 0 and counts.get("COMPLETE", 0) + counts.get("PRUNED", 0) > 17


def test_after_kill_9_the_same_command_goes_on(
    start: Callable[..., Any],
    cli: Callable[..., tuple[int, str, str]],
    study_file: StudyFile,
    runs_dir: Path,
    wait_until: Callable[..., None],
) -> None:
    training = {"total_steps": 500, "engine": "reference"}
    file = study_file(name="killed", **SMALL | {"training": training})
    command = ("run", file, "--runs-dir", runs_dir)
    process = start(*command)

    wait_until(lambda: in_the_middle(runs_dir / "killed"), seconds=120)
    process.kill()
    run = open_run(runs_dir / "killed")
    left = {t.number for t in stored(run) if t.state == TrialState.RUNNING}
    assert left, "it was killed while it trained"
    code, out, err = cli(*command)
    assert (code, err) == (0, "")
    assert "Confirmed on 4 fresh seeds" in out
    run = open_run(runs_dir / "killed")
    done = check_whole(run)
    again = {t.number for t in done if t.user_attrs[ATTEMPT] == 2}
    blank = {t.number for t in stored(run) if t.state == TrialState.FAIL}
    assert again | blank == left, "a trial that didn't say yet what it was is given up"
