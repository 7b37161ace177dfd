"""Ways in: a study as a file, a table or a checked value; a task by its path, or itself."""

import codecs
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from user_parts import BLOBS

from schedsearch import (
    ConfigError,
    RunError,
    StudyConfig,
    confirm_run,
    load_schedule,
    open_run,
    run_study,
)
from schedsearch.config import load_config, study_of
from schedsearch.launch import Outcome

TABLE: dict[str, Any] = {
    "trials": 2,
    "families": ["StepLR", "LinearLR"],
    "training": {"total_steps": 20, "evals_per_run": 4, "batch_size": 8, "engine": "reference"},
    "space": {"warmup": "none"},
    "fidelity": {"kind": "full"},
    "search": {"sampler": "random"},
    "confirmation": {"seeds": 0},
}
MINE = replace(BLOBS, name="clouds")  # a name that can't be imported


@pytest.fixture
def run(runs_dir: Path) -> Callable[..., Outcome]:
    """Return run_study for this test's runs."""

    def call(study: Any, **options: Any) -> Outcome:
        return run_study(
            study, runs_dir=runs_dir, device="cpu", report=False, progress=False, **options
        )

    return call


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to an empty folder; return another one, whose modules are not found."""
    (tmp_path / "here").mkdir()
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path / "project"


def test_all_ways_lead_to_the_same_trials(run: Callable[..., Outcome], tmp_path: Path) -> None:
    file = tmp_path / "file.toml"
    file.write_text(
        """task = "user_parts:BLOBS"
        trials = 2
        families = ["StepLR", "LinearLR"]
        training = { total_steps = 20, evals_per_run = 4, batch_size = 8, engine = "reference" }
        space = { warmup = "none" }
        fidelity = { kind = "full" }
        search = { sampler = "random" }
        confirmation = { seeds = 0 }
        """
    )
    named = {"name": "table", "task": "user_parts:BLOBS"} | TABLE
    assert study_of(named) == study_of(file).model_copy(update={"name": "table"})
    assert study_of(study_of(named)) == study_of(named)
    ways = [run(str(file)), run(TABLE, task=MINE)]
    assert [way.run.name for way in ways] == ["file", "clouds"]
    by_path, by_value = (list(way.run.trials()["val_loss"]) for way in ways)
    assert by_path == by_value
    assert len(by_path) == 2


def test_a_task_takes_the_place_of_the_studys_own(run: Callable[..., Outcome]) -> None:
    outcome = run(TABLE | {"name": "a", "task": "digits"}, task=MINE)
    assert outcome.run.config.task == "clouds"
    assert outcome.winner is not None
    assert outcome.winner.score is not None
    assert "loss" in outcome.winner.score.test, "of the given task's test split"


def test_a_run_goes_on_and_is_confirmed_with_its_task_given_again(
    run: Callable[..., Outcome], runs_dir: Path, refused: Callable[..., str], tmp_path: Path
) -> None:
    run(TABLE, task=MINE)
    study = tmp_path / "clouds.toml"
    study.write_text('task = "clouds"')
    for line in (
        refused("confirm", runs_dir / "clouds"),
        refused("run", study, "--runs-dir", runs_dir),
    ):
        assert "the task 'clouds' of this run was given in Python" in line
        assert "confirm_run(..., task=...)" in line
    with pytest.raises(RunError, match="given in Python"):
        run(TABLE | {"task": "clouds"})
    assert len(run(TABLE | {"trials": 3}, task=MINE).run.trials()) == 3
    stored = open_run(runs_dir / "clouds")
    confirmed = confirm_run(stored, task=MINE, seeds=3, finalists=1, device="cpu", progress=False)
    assert confirmed.winner is not None


def test_a_task_that_was_never_there_is_only_unknown(run: Callable[..., Outcome]) -> None:
    with pytest.raises(ConfigError, match="unknown task 'clouds'"):
        run(TABLE | {"task": "clouds"})


def test_what_is_no_task_is_refused(run: Callable[..., Outcome], runs_dir: Path) -> None:
    with pytest.raises(ConfigError, match=r"no schedsearch\.TaskSource"):
        run(TABLE, task="digits")
    assert not runs_dir.exists()


@pytest.mark.parametrize(
    ("data", "task", "name"),
    [
        ({"task": "digits"}, "", "digits"),
        ({"task": "lib.tasks:T"}, "", "tasks"),
        ({}, "two words", "study"),
        ({}, "../up:T", "study"),
        ({"name": "said"}, "mine", "said"),
    ],
)
def test_a_table_without_a_name_gets_its_tasks(data: dict[str, Any], task: str, name: str) -> None:
    config = study_of(data, {"task": task} if task else {})
    assert isinstance(config, StudyConfig)
    assert config.name == name


def test_a_table_without_a_task_is_refused(run: Callable[..., Outcome]) -> None:
    with pytest.raises(ConfigError, match="the key 'task' is missing"):
        run(TABLE)


def written(folder: Path, module: str, study: str = "my.toml") -> Path:
    """Write a module with a task into a folder, and a study beside it."""
    (folder / f"{module}.py").write_text("from user_parts import BLOBS as TASK\n")
    (folder / study).write_text(
        f"""task = "{module}:TASK"
        trials = 1
        families = ["Constant"]
        training = {{ total_steps = 20, evals_per_run = 2, batch_size = 8, engine = "reference" }}
        space = {{ warmup = "none" }}
        confirmation = {{ seeds = 0 }}
        """
    )
    return folder / study


def test_the_command_finds_modules_beside_the_study_file(
    elsewhere: Path, cli: Callable[..., tuple[int, str, str]], refused: Callable[..., str]
) -> None:
    study = written(elsewhere, "beside_the_study")
    assert cli("run", study, "--no-report", "-q")[0] == 0
    del sys.modules["beside_the_study"]
    sys.path.remove(str(elsewhere))
    assert "cannot import 'beside_the_study'" in refused("confirm", "runs/my", "--seeds", 3)
    code, out, _ = cli("confirm", "runs/my", "--seeds", 3, "--finalists", 1, "--study", study)
    assert code == 0
    assert "Confirmed on 3 fresh seeds" in out


def test_run_study_finds_modules_beside_the_study_file(
    elsewhere: Path, run: Callable[..., Outcome]
) -> None:
    study = written(elsewhere, "beside_it_too")
    assert run(study).run.config.task == "beside_it_too:TASK"


@pytest.mark.parametrize(
    ("code", "line", "frames"),
    [
        ("def f():\n    1 / 0\nf()", "ZeroDivisionError: division by zero", ["in f\n    1 / 0"]),
        ("import torch\ntorch.zeros(-1)", "RuntimeError: ", ["torch.zeros(-1)"]),
        ("x = (\n", "SyntaxError: '(' was never closed", ["x = ("]),
        ("import not_there", "No module named 'not_there'", ["import not_there"]),
        ("raise SystemExit(3)", "SystemExit: 3", ["raise SystemExit(3)"]),
    ],
)
def test_a_module_that_fails_shows_the_users_own_frames(
    elsewhere: Path,
    cli: Callable[..., tuple[int, str, str]],
    code: str,
    line: str,
    frames: list[str],
) -> None:
    study = written(elsewhere, "fails_at_once")
    (elsewhere / "fails_at_once.py").write_text(code)
    sys.modules.pop("fails_at_once", None)
    exit_code, out, err = cli("run", study)
    first, *rest = err.splitlines()
    assert (exit_code, out) == (2, "")
    assert first.startswith(
        f"schedsearch: task 'fails_at_once:TASK': cannot import {'fails_at_once'!r}: "
    )
    assert line in first
    shown = "\n".join(rest)
    assert all(text in shown for text in [f'"{elsewhere / "fails_at_once.py"}", line', *frames])
    files = [text for text in rest if text.startswith("  File ")]
    assert all("fails_at_once.py" in text for text in files), "frames of the user's only"


def test_a_name_that_a_module_lacks_is_answered_with_the_nearest(
    elsewhere: Path, refused: Callable[..., str]
) -> None:
    study = written(elsewhere, "has_another")
    study.write_text('task = "has_another:TASKS"')
    assert "has_another has no 'TASKS': did you mean 'TASK'?" in refused("run", study)


@pytest.mark.parametrize(
    "content",
    [
        codecs.BOM_UTF8 + b'task = "digits"\r\nname = "gr\xc3\xbcn"\r\n',
        codecs.BOM_UTF16_LE + 'task = "digits"\r\nname = "grün"\r\n'.encode("utf-16-le"),
        codecs.BOM_UTF16_BE + 'task = "digits"\nname = "grün"'.encode("utf-16-be"),
    ],
)
def test_a_study_file_with_a_byte_order_mark_is_read(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.toml").write_bytes(content)
    config = load_config(tmp_path / "a.toml")
    assert (config.task, config.name) == ("digits", "grün")


def test_a_schedule_with_a_byte_order_mark_is_read(
    run: Callable[..., Outcome], tmp_path: Path
) -> None:
    outcome = run(TABLE, task=MINE)
    marked = tmp_path / "best.json"
    marked.write_bytes(codecs.BOM_UTF8 + outcome.best_path.read_bytes())
    assert load_schedule(marked) == load_schedule(outcome.best_path)


def test_python_shows_progress_unless_it_is_told_not_to(
    runs_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options: dict[str, Any] = {"runs_dir": runs_dir, "device": "cpu", "report": False}
    run_study(TABLE, task=MINE, **options)
    out, err = capsys.readouterr()
    assert out == "", "standard output is the caller's"
    assert "clouds: 2 trials" in err
    run_study(TABLE | {"trials": 3}, task=MINE, progress=False, **options)
    events: list[object] = []
    run_study(TABLE | {"trials": 4}, task=MINE, on_event=events.append, **options)
    assert capsys.readouterr() == ("", "")
    assert events
