"""Every command on a small run that is finished."""

import io
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pytest
import typer

from schedsearch import FAMILIES, TASKS, Family, Schedule, load_schedule, open_run
from schedsearch.cli.app import app
from schedsearch.config import parse_config
from schedsearch.report.leaderboard import leaderboard_of

Command = Callable[..., tuple[int, str, str]]
StudyFile = Callable[..., Path]


@pytest.fixture
def ok(cli: Command) -> Callable[..., str]:
    """Return the command for calls that succeed: it gives what they print."""

    def call(*args: object) -> str:
        code, out, err = cli(*args)
        assert (code, err) == (0, "")
        return out

    return call


def test_run_ends_with_the_leaderboard_and_where_best_json_is(
    ok: Callable[..., str], study_file: StudyFile, runs_dir: Path
) -> None:
    out = ok("run", study_file(name="r"), "--runs-dir", runs_dir, "--trials", 3, "--device", "cpu")
    assert out.startswith("engine: reference, 1 thread; ")
    assert "\nr: 3 trials\n" in out
    assert "3/3 trials, best " in out
    assert "Best trial of each family (r):" in out
    assert "not confirmed" in out
    assert str(runs_dir / "r" / "best.json") in out
    assert re.search(r"the harness added \d+ ms a trial", out)
    assert re.search(r"On the test split, .*: loss \d\.\d+, accuracy \d+\.\d\d%", out)
    again = ok("run", study_file(name="r"), "--runs-dir", runs_dir, "--trials", 4)
    assert "r: 4 trials, 3 finished before" in again


def test_quiet_prints_the_result_only(
    ok: Callable[..., str], study_file: StudyFile, runs_dir: Path
) -> None:
    out = ok("run", study_file(name="r", trials=2), "--runs-dir", runs_dir, "--quiet")
    assert out.lstrip().startswith("Best trial of each family (r):")
    assert "2/2" not in out


def test_options_win_over_the_study_file(
    ok: Callable[..., str], study_file: StudyFile, runs_dir: Path
) -> None:
    ok("run", study_file(name="r"), "--name", "s", "--trials", 2, "--threads", 1, "-q",
       "--runs-dir", runs_dir)  # fmt: skip
    run = open_run(runs_dir / "s")
    assert run.config.name == "s"
    assert run.config.trials == 2
    assert not (runs_dir / "r").exists()


def test_dry_run_prints_the_plan_and_writes_nothing(
    ok: Callable[..., str],
    study_file: StudyFile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = study_file(name="r", families=["StepLR", "LinearLR"])
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.chdir(tmp_path)
    out = ok("run", file, "--dry-run", "--trials", 40)
    assert sorted(tmp_path.rglob("*")) == before
    for text in ("StepLR, LinearLR", "40 of 60 steps", "2,400 steps", "digits (mlp)", "minutes"):
        assert text in out
    assert re.search(r"about \d+\.\d minutes and \d+\.\d MB", out)
    many = ("--trials", 20_000, "--engine", "fused", "--stack", 8, "--threads", 1)
    out = ok("run", file, "--dry-run", *many)
    assert re.search(
        r"\nengine +fused, \d jobs at once, 1 thread: the reference engine would take \d", out
    )


def test_list_shows_the_runs_of_a_folder(
    ok: Callable[..., str], finished: Path, tmp_path: Path
) -> None:
    out = ok("list", "--runs-dir", finished.parent)
    head, row = out.splitlines()
    assert head.split()[:4] == ["run", "task", "finished", "of"]
    assert row.split()[:4] == ["finished", "digits", "8", "8"]
    assert ok("list", "--runs-dir", tmp_path / "none") == f"no runs in {tmp_path / 'none'}\n"


def test_list_goes_on_past_a_folder_that_cannot_be_read(
    cli: Command, finished: Path, tmp_path: Path
) -> None:
    (tmp_path / "a").symlink_to(finished)
    (tmp_path / "finished").symlink_to(finished)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "study.db").write_text("no database" * 100)
    _, out, err = cli("list", "--runs-dir", tmp_path)
    assert "finished" in out
    assert "Traceback" not in err
    assert [line for line in err.splitlines() if "broken" in line] == err.splitlines()


def test_status_shows_states_families_and_origin(ok: Callable[..., str], finished: Path) -> None:
    out = ok("status", finished)
    run = open_run(finished)
    assert "8 finished; of 8" in out
    assert run.attributes["fingerprint"] in out
    assert f"torch {run.attributes['provenance']['versions']['torch']}" in out
    for family in leaderboard_of(run)["family"]:
        assert family in out


@pytest.mark.parametrize("what", ["trials", "curves"])
def test_frames_are_printed_and_written_in_every_format(
    ok: Callable[..., str], finished: Path, tmp_path: Path, what: str
) -> None:
    frame = getattr(open_run(finished), what)()
    table = ok(what, finished)
    assert len(table.splitlines()) == len(frame) + 1

    csv = ok(what, finished, "--format", "csv")
    file = tmp_path / "frame.csv"
    assert ok(what, finished, "--format", "csv", "-o", file) == ""
    assert file.read_text() == csv
    again = pd.read_csv(file).astype(dict(frame.dtypes))
    pd.testing.assert_frame_equal(again, frame, check_exact=True)

    file = tmp_path / "frame.parquet"
    assert ok(what, finished, "-f", "parquet", "-o", file) == ""
    pd.testing.assert_frame_equal(pd.read_parquet(file), frame, check_exact=True)


def test_a_run_is_named_by_its_folder_or_its_name(
    ok: Callable[..., str], finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_folder = ok("trials", finished)
    assert ok("trials", "finished", "--runs-dir", finished.parent) == by_folder
    monkeypatch.setenv("SCHEDSEARCH_RUNS", str(finished.parent))
    assert ok("trials", "finished") == by_folder


def test_families_names_every_family_with_its_parameters(ok: Callable[..., str]) -> None:
    lines = ok("families").splitlines()
    heads = [line.split("  ")[0] for line in lines if not line.startswith(" ")]
    assert heads == [family.name for family in FAMILIES]
    for family in FAMILIES:
        for param in family.params:
            assert any(line.split()[:1] == [param.name] for line in lines), param.name


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_families_prints_one_family_in_full(ok: Callable[..., str], family: Family) -> None:
    out = ok("families", family.name)
    assert family.torch_class in out
    assert family.formula in out
    for param in family.params:
        for text in (f"{param.name}: {param.about}", param.describe(), param.limits()):
            assert text in out
    schedule = Schedule(family.name, 1.0)
    metrics = [1.0] * 20 if schedule.reacts_to_metric else None
    rates = schedule.trace(100, metrics=metrics)
    shown = dict(re.findall(r"step +(\d+)  (\S+)", out))
    assert len(shown) >= 10
    assert shown == {step: f"{rates[int(step) - 1]:.4g}" for step in shown}


def test_an_unknown_family_is_one_line(refused: Callable[..., str]) -> None:
    assert "did you mean 'StepLR'?" in refused("families", "StepRL")


def test_the_table_of_families_has_their_torch_classes(ok: Callable[..., str]) -> None:
    rows = ok("families", "--markdown").splitlines()[2:]
    assert len(rows) == len(FAMILIES)
    for row, family in zip(rows, FAMILIES, strict=True):
        assert row.split(" | ")[1] == family.torch_class


def test_tasks_names_every_task_with_its_models(ok: Callable[..., str]) -> None:
    out = ok("tasks")
    for task in TASKS:
        assert task.name in out
        for model in task.models:
            assert model in out


def test_export_writes_the_best_schedule(
    ok: Callable[..., str], finished: Path, tmp_path: Path
) -> None:
    path = tmp_path / "new" / "mine.json"
    assert ok("export", finished, "-o", path).strip() == str(path)
    assert load_schedule(path) == open_run(finished).best.schedule
    assert json.loads(path.read_text()) == json.loads((finished / "best.json").read_text())


@pytest.mark.parametrize(
    ("ending", "start"), [("png", b"\x89PNG\r\n\x1a\n"), ("svg", b"<?xml"), ("pdf", b"%PDF-")]
)
def test_preview_draws_a_picture(
    ok: Callable[..., str], finished: Path, tmp_path: Path, ending: str, start: bytes
) -> None:
    path = tmp_path / f"lr.{ending}"
    best = finished / "best.json"
    assert ok("preview", best, "--total-steps", 500, "-o", path).strip() == str(path)
    assert path.read_bytes().startswith(start)
    assert path.stat().st_size > 3000


def test_delete_asks_first(
    cli: Command, study_file: StudyFile, runs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("run", study_file(name="r", trials=1), "--runs-dir", runs_dir)
    for answer in ("n\n", "\n", ""):  # no; the default; nobody there to answer
        monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
        code, out, err = cli("delete", "r", "--runs-dir", runs_dir)
        assert code == 1
        assert "Delete the run 'r' with its 1 trials" in out
        assert "Traceback" not in err
        assert len(open_run(runs_dir / "r").trials()) == 1
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    code, out, _ = cli("delete", "r", "--runs-dir", runs_dir)
    assert code == 0
    assert out.endswith("deleted r (1 trials)\n")
    assert not (runs_dir / "r").exists()


def test_delete_does_not_ask_when_told_so(
    cli: Command, study_file: StudyFile, runs_dir: Path
) -> None:
    cli("run", study_file(name="r", trials=1), "--runs-dir", runs_dir)
    assert cli("delete", "r", "--yes", "--runs-dir", runs_dir) == (0, "deleted r (1 trials)\n", "")
    assert not (runs_dir / "r").exists()
    assert cli("list", "--runs-dir", runs_dir) == (0, f"no runs in {runs_dir}\n", "")


@pytest.mark.slow
def test_the_module_runs_as_a_command(study_file: StudyFile, tmp_path: Path) -> None:
    """Where nothing is imported or set before: one real process, from a folder of its own."""
    command = [sys.executable, "-m", "schedsearch", "run", str(study_file(name="r", trials=2))]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Best trial of each family (r):" in done.stdout
    assert len(open_run(tmp_path / "runs" / "r").trials()) == 2


def test_version_is_the_installed_one(ok: Callable[..., str]) -> None:
    assert ok("--version").strip() == version("schedsearch")


def test_every_command_has_help_with_an_example(ok: Callable[..., str]) -> None:
    group = typer.main.get_command(app)
    names = sorted(group.commands)  # type: ignore[attr-defined]
    assert {"run", "list", "status", "delete", "families", "tasks", "export", "preview"} <= set(
        names
    )
    top = ok("--help")
    for name in names:
        assert re.search(rf"^ +{name} ", top, flags=re.MULTILINE), name
        text = ok(name, "--help")
        assert f"Example:  schedsearch {name}" in text
        assert ok(name, "-h") == text


def test_help_imports_neither_torch_nor_optuna() -> None:
    code = (
        "import sys; sys.argv = ['schedsearch', '--help']\n"
        "from schedsearch.cli.app import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "slow = {'torch', 'optuna', 'pandas', 'matplotlib', 'sklearn', 'sqlalchemy'}\n"
        "sys.exit(', '.join(slow & set(sys.modules)) or None)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_shared_study_file_writer_writes_what_was_meant(study_file: StudyFile) -> None:
    path = study_file(
        families=["ReduceLROnPlateau+StepLR"],
        ranges={"ReduceLROnPlateau+StepLR": {"gamma": [0.1, 0.2]}},
        training={"optimizer_args": {"momentum": 0.5}},
    )
    config = parse_config(tomllib.loads(path.read_text()))
    assert config.ranges == {"ReduceLROnPlateau+StepLR": {"gamma": [0.1, 0.2]}}
    assert config.training.optimizer_args == {"momentum": 0.5}
    assert config.training.total_steps == 60
