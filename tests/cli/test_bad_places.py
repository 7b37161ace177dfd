"""Storages, folders, runs, files, options: a mistake in them is one line that says what to do."""

import os
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schedsearch import Schedule
from schedsearch.tasks import fashion_mnist

Command = Callable[..., tuple[int, str, str]]
StudyFile = Callable[..., Path]


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("no url", "no URL of a database"),
        ("", "no URL of a database"),
        ("http://somewhere/x", "no URL of a database"),
        ("postgresql://ann:secret@db:port/x", "URL of a database"),
        ("mysql://ann:secret@127.0.0.1/x", "no driver for mysql://ann@127.0.0.1/x"),
        ("sqlite:////nowhere/at/all/study.db", "unable to open database file"),
    ],
)
@pytest.mark.parametrize("command", ["run", "status", "list"])
def test_a_storage_that_is_none(
    refused: Callable[..., str],
    study_file: StudyFile,
    runs_dir: Path,
    url: str,
    text: str,
    command: str,
) -> None:
    args: dict[str, list[object]] = {"run": [study_file(name="r")], "status": ["r"], "list": []}
    line = refused(command, *args[command], "--runs-dir", runs_dir, "--storage", url)
    looks = command == "status" and url.startswith("sqlite")  # a look makes no file
    assert ("does not exist" if looks else text) in line
    assert "secret" not in line
    assert not runs_dir.exists(), "nothing is written"


def test_a_storage_that_does_not_answer(
    refused: Callable[..., str], study_file: StudyFile, runs_dir: Path, closed_port: int
) -> None:
    pytest.importorskip("psycopg")
    url = f"postgresql+psycopg://ann:secret@127.0.0.1:{closed_port}/x"
    line = refused("run", study_file(), "--runs-dir", runs_dir, "--storage", url)
    assert "refused" in line
    assert "secret" not in line
    assert not runs_dir.exists(), "nothing is written"


def test_a_database_that_is_somebody_elses_file(
    refused: Callable[..., str], study_file: StudyFile, runs_dir: Path
) -> None:
    (runs_dir / "r").mkdir(parents=True)
    (runs_dir / "r" / "study.db").write_text("notes of mine, and no database\n" * 50)
    for command in (["run", study_file(name="r")], ["status", "r"], ["delete", "r", "--yes"]):
        assert "does not answer as a database" in refused(*command, "--runs-dir", runs_dir)
    assert (runs_dir / "r" / "study.db").read_text().startswith("notes of mine")


def test_a_folder_that_cannot_be_written(
    refused: Callable[..., str], study_file: StudyFile, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    for runs in (tmp_path / "file", tmp_path / "file" / "runs"):
        line = refused("run", study_file(name="r"), "--runs-dir", runs)
        assert "cannot make the run's folder" in line
        assert "--runs-dir" in line
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "r").write_text("mine too")
    refused("run", study_file(name="r"), "--runs-dir", tmp_path / "runs")
    assert (tmp_path / "file").read_text() == "mine"
    assert (tmp_path / "runs" / "r").read_text() == "mine too"


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_read_only_run_folder(
    refused: Callable[..., str], cli: Command, study_file: StudyFile, runs_dir: Path
) -> None:
    file = study_file(name="r", trials=1)
    assert cli("run", file, "--runs-dir", runs_dir)[0] == 0
    before = sorted(runs_dir.rglob("*"))
    for path in [*before, runs_dir]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        line = refused("run", file, "--runs-dir", runs_dir, "--trials", 2)
    finally:
        for path in [runs_dir, *before]:
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert "read-only" in line
    assert sorted(runs_dir.rglob("*")) == before


def test_a_run_folder_that_only_looks_writable(
    refused: Callable[..., str],
    study_file: StudyFile,
    runs_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As `os.access` says it for a folder that is read-only: no need to be another user."""
    original = os.access

    def access(path: Any, mode: int) -> bool:
        return Path(path) != runs_dir / "r" and original(path, mode)

    monkeypatch.setattr(os, "access", access)
    assert "read-only" in refused("run", study_file(name="r"), "--runs-dir", runs_dir)
    assert not list((runs_dir / "r").iterdir())


COMMANDS = ["status", "trials", "curves", "export", "delete"]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_run_that_is_not_there(
    refused: Callable[..., str], finished: Path, tmp_path: Path, command: str
) -> None:
    runs = finished.parent
    options: dict[str, list[object]] = {
        "export": ["-o", tmp_path / "best.json"],
        "delete": ["--yes"],
    }
    more = options.get(command, [])
    line = refused(command, "finishd", "--runs-dir", runs, *more)
    assert "there is no run 'finishd'" in line
    assert "(finished)" in line, "and there are these"
    empty = tmp_path / "empty"
    empty.mkdir()
    line = refused(command, empty, "--runs-dir", runs, *more)
    assert "is no run: it holds neither study.db nor storage.json" in line
    assert list(empty.iterdir()) == []
    url = f"sqlite:///{finished / 'study.db'}"
    line = refused(command, "finishd", "--storage", url, *more)
    assert "there is no run 'finishd' in sqlite" in line
    assert not (tmp_path / "best.json").exists()


def test_a_run_with_a_name_that_no_folder_can_have(
    refused: Callable[..., str], finished: Path
) -> None:
    assert "there is no run" in refused("status", "x" * 300, "--runs-dir", finished.parent)


def test_files_that_cannot_be_written(
    refused: Callable[..., str], finished: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    inside = tmp_path / "file" / "x.json"
    for args in (
        ("export", finished, "-o", inside),
        ("export", finished, "-o", tmp_path),
        ("trials", finished, "-f", "csv", "-o", inside),
        ("curves", finished, "-f", "parquet", "-o", tmp_path),
        ("preview", finished / "best.json", "-o", tmp_path / "file" / "x.png"),
    ):
        assert "cannot write" in refused(*args)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "mine"


def schedule_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "best.json"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda text: text[: len(text) // 2], "no complete JSON"),
        (lambda text: "", "no complete JSON"),
        (lambda text: text.replace('"version": 2', '"version": 3', 1), "newer"),
        (lambda text: text.replace("schedsearch.best", "somebody.else"), "no schedule"),
        (lambda text: text.replace('"family": "', '"family": "X'), "unknown family"),
    ],
    ids=["truncated", "empty", "newer", "foreign", "unknown family"],
)
def test_a_best_json_that_cannot_be_read(
    refused: Callable[..., str],
    finished: Path,
    tmp_path: Path,
    change: Callable[[str], str],
    expected: str,
) -> None:
    path = schedule_file(tmp_path, change((finished / "best.json").read_text()))
    line = refused("preview", path, "-o", tmp_path / "lr.png")
    assert expected in line
    assert str(path) in line
    assert not (tmp_path / "lr.png").exists()


def test_a_preview_that_cannot_be_drawn(refused: Callable[..., str], tmp_path: Path) -> None:
    one_cycle = schedule_file(tmp_path, Schedule("OneCycleLR", 0.1).to_json())
    assert "cannot read" in refused("preview", tmp_path / "none.json")
    assert "OneCycleLR needs at least 4 steps" in refused("preview", one_cycle, "--total-steps", 3)
    assert "cannot write" in refused("preview", one_cycle, "-o", tmp_path / "lr.xyz")
    plateau = schedule_file(tmp_path, Schedule("ReduceLROnPlateau", 0.1).to_json())
    line = refused("preview", plateau, "--total-steps", 10, "-o", tmp_path / "lr.png")
    assert "20 evaluations do not fit into 10 steps" in line
    assert [p.name for p in tmp_path.iterdir()] == ["best.json"]


def test_an_export_without_a_finished_trial(
    refused: Callable[..., str], cli: Command, study_file: StudyFile, runs_dir: Path
) -> None:
    file = study_file(families=["Constant"], space={"peak_lr": [500.0, 900.0]}, trials=2)
    line = refused_after_training(cli, "run", file, "--runs-dir", runs_dir, "--name", "r", "-q")
    assert "all 2 trials of 'r' diverged" in line
    assert "peak_lr" in line
    assert "no finished trial" in refused(
        "export", "r", "--runs-dir", runs_dir, "-o", runs_dir / "best.json"
    )
    assert not list(runs_dir.rglob("best.json"))
    code, out, err = cli("status", "r", "--runs-dir", runs_dir)
    assert (code, err) == (0, "")
    assert "2 diverged" in out


def refused_after_training(cli: Command, *args: object) -> str:
    code, _, err = cli(*args)
    assert code == 2
    assert len(err.splitlines()) == 1, err
    return err


def test_another_study_under_the_same_name(
    refused: Callable[..., str], cli: Command, study_file: StudyFile, runs_dir: Path
) -> None:
    assert cli("run", study_file(name="r", trials=1), "--runs-dir", runs_dir)[0] == 0
    other = study_file(name="r", trials=1, training={"total_steps": 80})
    line = refused("run", other, "--runs-dir", runs_dir)
    assert "training.total_steps: 60 -> 80" in line
    assert "--name" in line


def test_data_that_are_not_there(
    refused: Callable[..., str],
    study_file: StudyFile,
    tmp_path: Path,
    runs_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_network(*args: object, **options: object) -> None:
        raise urllib.error.URLError("no network in this test")

    monkeypatch.setattr("urllib.request.urlopen", no_network)
    monkeypatch.setattr(fashion_mnist, "_DEBIAN", tmp_path / "no such package")
    folder = tmp_path / "data"
    folder.mkdir()
    file = study_file(task="fashion_mnist", data=str(folder), name="r")
    line = refused("run", file, "--runs-dir", runs_dir)
    for text in (str(folder), "SCHEDSEARCH_DATA", "dataset-fashion-mnist"):
        assert text in line
    assert not runs_dir.exists()
    assert not [p for p in folder.rglob("*") if p.is_file()], "nothing half-fetched"
    monkeypatch.setenv("SCHEDSEARCH_DATA", str(tmp_path / "other"))
    line = refused("run", study_file(task="fashion_mnist"), "--runs-dir", runs_dir)
    assert str(tmp_path / "other") in line


@pytest.mark.parametrize(
    "args",
    [
        ("run", "STUDY", "--trials", "0"),
        ("run", "STUDY", "--trials", "many"),
        ("run", "STUDY", "--threads", "-1"),
        ("preview", "best.json", "--total-steps", "0"),
        ("trials", "r", "--format", "xml"),
    ],
    ids=" ".join,
)
def test_an_option_with_an_impossible_value(
    refused: Callable[..., str], study_file: StudyFile, runs_dir: Path, args: tuple[str, ...]
) -> None:
    given = [study_file() if arg == "STUDY" else arg for arg in args]
    line = refused(*given, *["--runs-dir", runs_dir] * (args[0] == "run"))
    assert args[2] in line
    assert not runs_dir.exists()


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (("run", "x.toml", "--trails", "3"), "--trials"),
        (("run",), "Missing argument"),
        (("runn", "x.toml"), "'run'"),
    ],
)
def test_a_command_line_that_is_misspelt(cli: Command, args: tuple[str, ...], text: str) -> None:
    code, out, err = cli(*args)
    assert code == 2
    assert out == ""
    assert "Traceback" not in err
    assert text in err.splitlines()[-1]
