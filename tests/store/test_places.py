"""Where a run is: its folder, a database, and files that are there whole or not at all."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from schedsearch import Run, open_run
from schedsearch.errors import RunError, StorageError
from schedsearch.launch import Outcome
from schedsearch.store.connect import masked, open_storage, sqlite_url
from schedsearch.store.place import find_place, place_run, run_folders, run_names, write_json

Launch = Callable[..., Outcome]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ann:secret@db:5432/studies", "postgresql://ann@db:5432/studies"),
        ("postgresql+psycopg://ann:se%40cret@db/x?sslmode=require", None),
        ("mysql+pymysql://ann:secret@db/x", "mysql+pymysql://ann@db/x"),
        ("sqlite:////tmp/study.db", "sqlite:////tmp/study.db"),
        ("postgresql://ann@db/x", "postgresql://ann@db/x"),
        ("postgresql://db/x?user=ann&password=secret", None),
        ("postgresql://ann:secret@db:port/x", None),
        ("no url", "no url"),
        ("", ""),
    ],
)
def test_passwords_are_never_shown(url: str, shown: str | None) -> None:
    text = masked(url)
    assert "cret" not in text
    assert shown is None or text == shown


def test_write_json_replaces_a_file_in_one_move(tmp_path: Path) -> None:
    path = tmp_path / "best.json"
    write_json(path, {"a": 1})
    before = path.stat().st_ino
    write_json(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 2}
    assert path.stat().st_ino != before, "a new file took the old one's name"
    assert [p.name for p in tmp_path.iterdir()] == ["best.json"]


def test_write_json_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "best.json"
    write_json(path, {"a": 1})
    for impossible in ({"a": math.nan}, {"a": object()}):
        with pytest.raises((ValueError, TypeError)):
            write_json(path, impossible)

    def full(self: Path, *args: object, **options: object) -> int:
        with self.open("wb") as half:
            half.write(b'{"a":')
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(StorageError, match="No space left") as no:
            write_json(path, {"a": 2})
    assert str(path) in str(no.value)
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["best.json"]


def test_write_json_where_no_folder_is_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "none" / "best.json", tmp_path / "file" / "best.json"):
        with pytest.raises(StorageError, match=r"cannot write .*best\.json"):
            write_json(path, {})


def test_a_run_is_found_by_folder_by_name_and_by_url(finished: Path) -> None:
    runs = finished.parent
    url = sqlite_url(finished / "study.db")
    found = [
        open_run(finished),
        open_run(str(finished)),
        open_run("finished", runs_dir=runs),
        open_run(url, "finished"),
    ]
    frames = [run.trials() for run in found]
    assert len(frames[0]) == 8
    assert all(frame.equals(frames[0]) for frame in frames)
    assert [run.place.folder for run in found] == [finished, finished, finished, None]
    assert run_folders(runs) == [finished]


def test_a_run_that_is_not_there_is_named_with_those_that_are(
    finished: Path, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match=r"no run 'finishd'.*\(finished\)"):
        open_run("finishd", runs_dir=finished.parent)
    with pytest.raises(RunError, match=r"no run 'x'.*\(none\)"):
        open_run("x", runs_dir=tmp_path)
    with pytest.raises(RunError, match=r"no run 'x'.*\(there: finished\)"):
        open_run(sqlite_url(finished / "study.db"), "x")
    with pytest.raises(RunError, match=r"is no run: it holds neither study\.db nor storage\.json"):
        open_run(tmp_path)


def test_a_folder_under_another_name_is_still_its_run(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(finished)
    assert len(open_run(tmp_path / "link").trials()) == 8


def test_a_file_that_is_no_database_is_a_message(tmp_path: Path) -> None:
    (tmp_path / "study.db").write_text("this is no database, and longer than its header" * 10)
    with pytest.raises(StorageError, match="does not answer as a database") as caught:
        open_run(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_pointer_that_cannot_be_read_is_a_message(tmp_path: Path) -> None:
    for text in ("", "{", "[]", '{"name": "x"}'):
        (tmp_path / "storage.json").write_text(text)
        with pytest.raises(RunError, match=r"storage\.json cannot be read"):
            open_run(tmp_path)


def test_a_pointer_keeps_no_password_and_binds_the_folder(runs_dir: Path) -> None:
    url = "postgresql+psycopg://ann:secret@db/x"
    place_run("r", runs_dir, url)
    text = (runs_dir / "r" / "storage.json").read_text()
    assert "secret" not in text
    assert json.loads(text) == {"name": "r", "storage": "postgresql+psycopg://ann@db/x"}
    assert find_place("r", runs_dir).url == "postgresql+psycopg://ann@db/x"
    assert place_run("r", runs_dir, url).url == url, "the same storage again"
    with pytest.raises(RunError, match=r"say --storage postgresql\+psycopg://ann@db/x"):
        place_run("r", runs_dir, None)
    with pytest.raises(RunError, match="not in") as caught:
        place_run("r", runs_dir, "postgresql+psycopg://ann:secret@elsewhere/x")
    assert "secret" not in str(caught.value)


def test_a_folder_with_its_own_database_takes_no_other(launch: Launch, tmp_path: Path) -> None:
    launch(trials=1)
    other = sqlite_url(tmp_path / "other.db")
    with pytest.raises(RunError, match=r"its own study\.db: leave --storage out"):
        launch(trials=1, run_options={"storage": other})


def test_one_database_holds_several_runs(launch: Launch, tmp_path: Path, runs_dir: Path) -> None:
    url = sqlite_url(tmp_path / "all.db")
    for name, trials in (("a", 1), ("b", 2)):
        launch(name=name, trials=trials, run_options={"storage": url})
    storage = open_storage(url)
    assert run_names(storage) == {"a", "b"}
    assert [len(open_run(url, name).trials()) for name in ("a", "b")] == [1, 2]
    assert len(open_run(runs_dir / "b").trials()) == 2, "the folder's pointer is followed"
    assert isinstance(open_run(url, "a"), Run)


@pytest.mark.parametrize("name", ["50 %", "größe", "x[bold]", "why?", "50%25"])
def test_any_printable_name_stays_in_its_folder(launch: Launch, runs_dir: Path, name: str) -> None:
    launch(name=name, trials=1)
    assert [p.name for p in runs_dir.iterdir()] == [name]
    assert (runs_dir / name / "study.db").is_file()
    assert len(open_run(runs_dir / name).trials()) == 1
