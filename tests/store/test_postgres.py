"""Processes that share nothing but a PostgreSQL database."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from schedsearch import open_run
from schedsearch.store.run import Run

Start = Callable[..., Any]
Race = Callable[..., list[tuple[int, str, str]]]
Command = Callable[..., tuple[int, str, str]]
StudyFile = Callable[..., Path]

SLOW = {"total_steps": 300, "evals_per_run": 5}


@contextmanager
def opened(*where: Any) -> Iterator[Run]:
    """Open a run, and close its connections in the end."""
    run = open_run(*where)
    try:
        yield run
    finally:
        run.storage.remove_session()
        run.storage.engine.dispose()


@pytest.fixture
def command(start: Start) -> Command:
    """Return the command, in a process that closes its connections by ending."""
    return lambda *args: start(*args).end()


def states(url: str, name: str) -> list[str]:
    """Return the states of a run's trials; none while there is no run."""
    import psycopg

    query = (
        "select t.state::text from trials t join studies s using (study_id) where study_name = %s"
    )
    try:
        with psycopg.connect(url.replace("+psycopg", "")) as connection:
            return [state for (state,) in connection.execute(query, (name,)).fetchall()]
    except psycopg.errors.UndefinedTable:
        return []


def check_complete(run: Run, total: int) -> Any:
    trials = run.trials()
    done = trials[trials["state"].isin(["finished", "diverged"])]
    assert list(done["trial"]) == list(range(total))
    assert set(trials["state"]) <= {"finished", "diverged", "waiting"}
    assert done["schedule"].is_unique, "a draw was repeated"
    return done


def test_two_machines_share_a_fresh_database(
    race: Race, study_file: StudyFile, tmp_path: Path, database: str, command: Command
) -> None:
    """Each has a folder of its own: they have nothing in common but the URL."""
    file = study_file(name="shared", trials=10, training=SLOW, search={"batch": 4})
    folders = [tmp_path / "one", tmp_path / "other"]
    commands = [("run", file, "--runs-dir", f, "--storage", database) for f in folders]
    for code, out, err in race(*commands):
        assert (code, err) == (0, "")
        assert "Best trial of each family (shared)" in out
    with opened(database, "shared") as run:
        trials, curves, best = check_complete(run, 10), run.curves(), run.best
        assert trials["owner"].nunique() == 2, "both trained"
        assert (curves.groupby("trial")["step"].count() == 5).all()
    for folder in folders:
        files = {p.name for p in (folder / "shared").iterdir()}
        assert "storage.json" in files
        assert "study.db" not in files
        with opened(folder / "shared") as same:
            assert same.trials().equals(trials)
            assert same.curves().equals(curves)
            assert same.best == best
    # the one that ended last concluded; both may have, when they ended together
    written = [folder / "shared" / "best.json" for folder in folders]
    assert any(path.is_file() for path in written)
    code, out, _ = command("list", "--storage", database)
    assert code == 0
    assert "shared" in out
    code, out, _ = command("status", "shared", "--storage", database)
    assert code == 0
    assert "10 finished" in out


def test_the_folder_points_to_the_database_without_its_password(
    command: Command, study_file: StudyFile, runs_dir: Path, database: str
) -> None:
    file = study_file(name="r", trials=1)
    with_password = database.replace("postgres@", "postgres:secret@")
    code, out, err = command("run", file, "--runs-dir", runs_dir, "--storage", with_password)
    assert (code, err) == (0, "")
    assert "secret" not in out
    pointer = (runs_dir / "r" / "storage.json").read_text()
    assert json.loads(pointer) == {"name": "r", "storage": database}
    for file in runs_dir.rglob("*"):
        assert file.is_dir() or b"secret" not in file.read_bytes()
    for look in ("status", "trials", "curves"):
        code, out, err = command(look, "r", "--runs-dir", runs_dir)
        assert (code, err) == (0, "")
        assert "secret" not in out
    code, out, err = command("run", study_file(name="r"), "--runs-dir", runs_dir)
    assert code == 2
    assert f"say --storage {database}" in err
    code, out, err = command("delete", "r", "--yes", "--runs-dir", runs_dir)
    assert (code, err) == (0, "")
    assert states(database, "r") == []


def test_after_kill_9_two_other_machines_go_on_to_the_same_total(
    start: Start,
    race: Race,
    study_file: StudyFile,
    tmp_path: Path,
    database: str,
    wait_until: Callable[..., None],
) -> None:
    file = study_file(name="killed", trials=9, training=SLOW, search={"batch": 3})
    process = start("run", file, "--runs-dir", tmp_path / "one", "--storage", database)

    def in_mid_batch() -> bool:
        seen = states(database, "killed")
        asked = seen.count("COMPLETE") in (3, 6) and seen.count("RUNNING") == 3
        time.sleep(0.03 * asked)
        return asked

    wait_until(in_mid_batch)
    process.kill()
    left = states(database, "killed").count("RUNNING")
    folders = [tmp_path / "two", tmp_path / "three"]
    for code, _, err in race(
        *(("run", file, "--runs-dir", f, "--storage", database) for f in folders)
    ):
        assert (code, err) == (0, "")
    with opened(database, "killed") as run:
        trials = check_complete(run, 9)
        assert left >= 1
        assert list(trials["attempt"][trials["attempt"] > 1]) == [2] * left, "each once more"


def test_a_connection_that_is_lost_is_one_line_and_the_next_call_goes_on(
    start: Start,
    command: Command,
    study_file: StudyFile,
    runs_dir: Path,
    database: str,
    wait_until: Callable[..., None],
) -> None:
    import psycopg

    file = study_file(name="lost", trials=6, training=SLOW, search={"batch": 2})
    args = ("run", file, "--runs-dir", runs_dir, "--storage", database)
    process = start(*args)
    wait_until(lambda: states(database, "lost").count("COMPLETE") >= 2)
    with psycopg.connect(database.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()"
        )
    code, out, err = process.end()
    assert "Traceback" not in out + err
    if code != 0:  # it may also have come by a new connection, and finished
        assert code == 2
        assert len(err.splitlines()) == 1, err
    code, _, err = command(*args)
    assert (code, err) == (0, "")
    with opened(database, "lost") as run:
        check_complete(run, 6)


@pytest.mark.parametrize("what", ["run", "status", "list"])
def test_nobody_there_is_one_line_at_once_and_nothing_is_written(
    command: Command, study_file: StudyFile, runs_dir: Path, closed_port: int, what: str
) -> None:
    pytest.importorskip("psycopg")
    url = f"postgresql+psycopg://ann:secret@127.0.0.1:{closed_port}/x"
    args: dict[str, list[object]] = {"run": [study_file(name="r")], "status": ["r"], "list": []}
    started = time.monotonic()
    code, out, err = command(what, *args[what], "--runs-dir", runs_dir, "--storage", url)
    assert time.monotonic() - started < 10
    assert code == 2
    assert out == ""
    assert len(err.splitlines()) == 1, err
    assert f"postgresql+psycopg://ann@127.0.0.1:{closed_port}/x" in err
    assert "secret" not in err
    assert "refused" in err
    assert not list(runs_dir.rglob("*"))


def test_a_wrong_url_can_be_corrected(
    command: Command, study_file: StudyFile, runs_dir: Path, database: str, closed_port: int
) -> None:
    file = study_file(name="r", trials=1)
    wrong = f"postgresql+psycopg://postgres@127.0.0.1:{closed_port}/x"
    assert command("run", file, "--runs-dir", runs_dir, "--storage", wrong)[0] == 2
    code, _, err = command("run", file, "--runs-dir", runs_dir, "--storage", database)
    assert (code, err) == (0, "")


def test_a_database_that_is_not_there_is_one_line(command: Command, database: str) -> None:
    code, out, err = command("status", "r", "--storage", f"{database}_not")
    assert (code, out) == (2, "")
    assert "does not exist" in err
    assert len(err.splitlines()) == 1, err


def test_the_url_of_the_help_works_with_the_driver_of_the_extra(
    command: Command, database: str
) -> None:
    """`postgresql://` means psycopg 3, which `schedsearch[postgres]` installs."""
    code, _, err = command("status", "r", "--storage", database.replace("+psycopg", ""))
    assert code == 2
    assert "there is no run 'r'" in err
