"""A function of the user's own as a trainer: in this process, and in processes of its own."""

import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from own_trainers import ACCURACY, Jobs, job

from schedsearch.errors import ConfigError, TrainingError
from schedsearch.schedules.schedule import Schedule
from schedsearch.training.own.failures import Failures
from schedsearch.training.own.function import FunctionTrainer
from schedsearch.training.own.report import Report
from schedsearch.training.own.task import Function, OwnTask, task_of_function
from schedsearch.training.own.trainer import CommandTrainer

MODULE = """
import os, time
from pathlib import Path
from typing import Any

def fit(schedule, total_steps, seed, report):
    print('{"step": 1, "val_loss": 0}')
    for step in (total_steps // 2, total_steps):
        if report(step=step, val_loss=schedule.peak_lr / step + seed, accuracy=0.5):
            break

def wait(schedule, total_steps, seed, report):
    Path(f"began{seed}").touch()
    while not Path(f"began{1 - seed}").exists():
        time.sleep(0.001)
    fit(schedule, total_steps, seed, report)

def fail(schedule, total_steps, seed, report):
    raise ValueError("no data")
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of a module with trainers, in the current folder."""
    name = f"own_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def run(trainer: str | Function, source: Jobs, *, proven: bool = False, **given: Any) -> Jobs:
    """Train with a function, in the way that it asks for."""
    task = task_of_function(trainer, partial(OwnTask, metrics=(ACCURACY,), **given))
    failures = Failures(Path("failed"), proven=proven, note=source.notes.append)
    kind = FunctionTrainer if task.function is not None else CommandTrainer
    kind(task, failures, source.tell).run(source)
    return source


def fit(schedule: Schedule, total_steps: int, seed: int, report: Report) -> None:
    for step in (total_steps // 2, total_steps):
        if report(step=step, val_loss=schedule.peak_lr / step + seed, accuracy=0.5):
            break


def values(source: Jobs) -> list[list[tuple[int, float, float, float]]]:
    """Return the rows of each curve, without their seconds."""
    return [
        [(row.step, row.lr, row.val_loss, row.metrics["accuracy"]) for row in ended.curve.rows]
        for ended in source.over
    ]


def test_the_same_function_gives_the_same_rows_in_both_ways(own: str) -> None:
    jobs = [job(rate, seed=seed) for rate in (0.1, 0.3) for seed in (1, 2)]
    inside, outside = run(fit, Jobs(jobs)), run(f"{own}:fit", Jobs(jobs))
    assert values(inside) == values(outside)
    assert values(inside)[1][1] == (60, jobs[1].schedule.trace(60)[-1], 0.1 / 60 + 2, 0.5)
    assert [ended.job for ended in outside.over] == jobs


def test_two_processes_call_a_function_at_a_time(own: str) -> None:
    source = run(f"{own}:wait", Jobs([job(seed=0), job(seed=1)]), parallel=2)
    assert [len(ended.curve.rows) for ended in source.over] == [2, 2]


def test_a_function_that_is_given_and_can_be_imported_trains_two_at_a_time() -> None:
    task = task_of_function(fit, partial(OwnTask, parallel=2))
    assert task.function is None
    assert f"{__name__}:fit" in task.command


def test_report_says_when_to_end() -> None:
    heard: list[bool] = []

    def train(schedule: Schedule, total_steps: int, seed: int, report: Report) -> None:
        for step in range(1, total_steps + 1):
            heard.append(report(step=step, val_loss=1.0, accuracy=0.5))

    source = run(train, Jobs([job()], stop=lambda job, row: row.step == 3))
    (ended,) = source.over
    assert heard == [False, False, True], "the call behind it does not return"
    assert (ended.curve.stopped, ended.curve.final.step) == (True, 3)


@pytest.mark.parametrize("last", [30, None])
def test_report_says_so_at_the_last_step_too(own: str, last: int | None) -> None:
    source = Jobs([job(last_step=last)])
    (ended,) = run(f"{own}:fit", source).over
    assert (ended.curve.final.step, ended.curve.stopped) == (last or 60, False)


def test_a_loss_that_is_not_finite_ends_the_training_as_diverged() -> None:
    def train(schedule: Schedule, total_steps: int, seed: int, report: Report) -> None:
        assert report(step=30, val_loss=float("nan"), accuracy=0.5)

    source = run(train, Jobs([job()]))
    assert [ended.curve.diverged for ended in source.over] == [True]
    assert source.rows == []


def _raises(schedule: Schedule, total_steps: int, seed: int, report: Report) -> None:
    raise ValueError("no data")


def _ends(schedule: Schedule, total_steps: int, seed: int, report: Report) -> None:
    report(step=30, val_loss=1.0, accuracy=0.5)


def _forgets(schedule: Schedule, total_steps: int, seed: int, report: Report) -> None:
    report(step=30, val_loss=1.0)


def _words(schedule: Schedule, total_steps: int, seed: int, report: Report) -> None:
    report(step=30, val_loss="low")  # type: ignore[arg-type]


def _hangs(schedule: Schedule, total_steps: int, seed: int, report: Report) -> None:
    for step in range(1, total_steps + 1):
        time.sleep(0.01)
        report(step=step, val_loss=1.0, accuracy=0.5)


@pytest.mark.parametrize(
    ("trainer", "words"),
    [
        (_raises, "the trainer failed (ValueError: no data): _raises(load_schedule("),
        (_ends, "ended at step 30: report(step=60, val_loss=...) is missing"),
        (_forgets, 'reported step 30 without "accuracy", which [metrics] declares'),
        (_words, "failed (ValueError: could not convert string to float: 'low')"),
        (_hangs, "took longer than training.limit_minutes = 0.0005"),
    ],
)
def test_a_function_that_fails_is_told_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trainer: Function, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TrainingError) as caught:
        run(trainer, Jobs([job()]), limit_seconds=0.03)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("outside", [False, True])
def test_the_users_traceback_is_kept_and_has_none_of_our_frames(own: str, outside: bool) -> None:
    trainer: str | Function = f"{own}:fail" if outside else _raises
    with pytest.raises(TrainingError, match=r"ValueError: no data.*failed/1/output.txt"):
        run(trainer, Jobs([job()]))
    output = Path("failed/1/output.txt").read_text()
    assert f"in {'fail' if outside else '_raises'}\n" in output
    assert "schedsearch/training/own" not in output.partition("\n")[2]


def test_an_error_of_the_source_is_not_the_users(tmp_path: Path) -> None:
    class GoneError(Exception):
        pass

    def gone(*args: object) -> bool:
        raise GoneError

    with pytest.raises(GoneError):
        run(fit, Jobs([job()], stop=gone))


@pytest.mark.parametrize(
    ("trainer", "given", "words"),
    [
        ("no_such_module:fit", {}, "cannot import"),
        ("math:pi", {}, "must be a function of (schedule, total_steps, seed, report)"),
        (f"{__name__}:values", {}, "must be a function of (schedule, total_steps, seed, report)"),
        (lambda a, b, c, d: None, {"parallel": 2}, "can't be imported by other processes"),
    ],
)
def test_what_can_not_train_is_refused(
    trainer: str | Function, given: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        task_of_function(trainer, partial(OwnTask, **given))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
