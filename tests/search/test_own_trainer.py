"""Studies whose trainings a trainer of the user's own makes: from the study file to best.json."""

import json
import math
import re
import runpy
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
from conftest import merged, toml
from mid_batch import count
from own_trainers import ARGUMENTS, HEAD, OWN, TRAIN, WORDS

from schedsearch import Note, Schedule, load_schedule, open_run, run_study
from schedsearch.config import parse_config
from schedsearch.errors import RunError
from schedsearch.launch import Outcome
from schedsearch.report.page import export_report
from schedsearch.training.own.report import Report
from schedsearch.training.own.rows import evaluation_in

Command = Callable[..., tuple[int, str, str]]

# A loss that falls with the steps, and is lowest where the peak rate is 0.1.
SMOOTH = """
import math
for step in range(total_steps // 5, total_steps + 1, total_steps // 5):
    say(step, 1 + abs(math.log10(schedule["peak_lr"]) + 1) + 1 / step, accuracy=1 - 1 / step)
"""

# The fourth training to begin waits, once.
WAITS = """
began = [name for name in os.listdir(".") if name.startswith("began")]
open(f"began{len(began)}-{os.getpid()}", "w").close()
if len(began) >= 3 and not os.path.exists("waits"):
    with open("waits", "w") as file: file.write(str(os.getpid()))
    time.sleep(600)
"""


@pytest.fixture
def scripted(tmp_path: Path, runs_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return a runner of a study whose trainer is a script; it keeps the notes that are told."""
    monkeypatch.chdir(tmp_path)

    def run(
        script: str = SMOOTH, base: Mapping[str, Any] = OWN, **changes: Any
    ) -> tuple[Outcome, list[str]]:
        Path("smooth.py").write_text(HEAD + script)
        command = ["python", "-S", "smooth.py", *ARGUMENTS]
        config = parse_config(merged(base, {"command": command} | changes))
        notes: list[str] = []

        def note(event: object) -> None:
            if isinstance(event, Note):
                notes.append(event.text)

        return run_study(config, runs_dir=runs_dir, report=False, on_event=note), notes

    return run


def as_function(schedule: Schedule, total_steps: int, seed: int, report: Report) -> None:
    """Train as train.py does, which runs in this process."""
    path = Path("schedule.json")
    path.write_text(schedule.to_json())
    words = [str(TRAIN), "--schedule", path, "--steps", total_steps, "--seed", seed]
    printed = StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        patch.setattr(sys, "argv", [str(word) for word in words])
        runpy.run_path(str(TRAIN), run_name="__main__")
    for line in printed.getvalue().splitlines():
        report(**(evaluation_in(line) or {}))


def test_a_script_is_searched_killed_and_resumed_and_equals_a_function(
    start: Callable[..., Any],
    cli: Command,
    tmp_path: Path,
    runs_dir: Path,
    wait_until: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path)
    file, folder = tmp_path / "own.toml", runs_dir / "own"
    file.write_text(toml(merged(OWN, {"command": WORDS, "trials": 2, "search": {"batch": 1}})))
    command = ("run", file, "--runs-dir", runs_dir)
    process = start(*command)
    wait_until(lambda: count(folder, "COMPLETE") == 1 and count(folder, "RUNNING") == 1)
    process.kill()
    before = open_run(folder).trials()
    assert list(before["state"]) == ["finished", "running"]

    code, out, err = cli(*command)
    assert (code, err) == (0, "")
    assert "trial 1 was left by a process that ended: trained again" in out
    trials = open_run(folder).trials()
    assert list(trials["state"]) == ["finished"] * 2
    assert list(trials["attempt"]) == [1, 2]
    pd.testing.assert_frame_equal(trials[:1], before[:1])
    assert load_schedule(folder / "best.json").family in OWN["families"]

    study = OWN | {"name": "inside", "trainer": "own:f", "trials": 2, "search": {"batch": 1}}
    study["search"] |= {"sampler": "random"}
    inside = run_study(parse_config(study), trainer=as_function, runs_dir=runs_dir).run
    columns = ["trial", "schedule", "val_loss", "val_accuracy", "steps", "train_loss"]
    pd.testing.assert_frame_equal(inside.trials()[columns], trials[columns], check_exact=True)
    columns = ["trial", "step", "lr", "val_loss", "val_accuracy"]
    curves = open_run(folder).curves()[columns]
    pd.testing.assert_frame_equal(inside.curves()[columns], curves, check_exact=True)


def test_two_at_a_time_are_killed_and_resumed_to_the_exact_total(
    start: Callable[..., Any],
    cli: Command,
    tmp_path: Path,
    runs_dir: Path,
    wait_until: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The fourth training waits until it is killed; the processes end with the search."""
    monkeypatch.chdir(tmp_path)
    Path("smooth.py").write_text(HEAD + WAITS + SMOOTH)
    command = ["python", "-S", "smooth.py", *ARGUMENTS]
    study = merged(OWN, {"command": command, "trials": 9, "training": {"parallel": 2}})
    Path("own.toml").write_text(toml(study | {"search": {"sampler": "random", "batch": 3}}))
    words = ("run", tmp_path / "own.toml", "--runs-dir", runs_dir)
    process = start(*words)
    wait_until(lambda: Path("waits").exists() and count(runs_dir / "own", "COMPLETE") == 3)
    process.kill()
    pid = int(Path("waits").read_text())
    wait_until(lambda: not psutil.pid_exists(pid), 10)

    code, out, err = cli(*words)
    assert (code, err) == (0, "")
    assert "9 trials, 3 finished before" in out
    trials = open_run(runs_dir / "own").trials()
    assert list(trials["trial"]) == list(range(9))
    assert list(trials["state"]) == ["finished"] * 9
    assert list(trials["attempt"]) == [1] * 3 + [2] * 3 + [1] * 3


@pytest.mark.parametrize("kind", ["squeeze", "truncate"])
def test_rungs_and_confirmation(scripted: Callable[..., Any], kind: str) -> None:
    """At a squeezed rung the script is told another horizon; at one that cuts, it is ended."""
    outcome, notes = scripted(
        trials=8,
        training={"total_steps": 300, "parallel": 2},
        fidelity={"kind": kind, "rungs": [60, 300], "eta": 4, "min_steps": 20, "checks": 0},
        search={"batch": 8},
        confirmation={"seeds": 5, "finalists": 2},
    )
    run = outcome.run
    trials = run.trials()
    assert sorted(trials["state"]) == ["finished"] * 2 + ["pruned"] * 6
    assert set(trials["spent_steps"]) == {60, 360}
    assert (outcome.winner.score, notes) == (None, [])
    best = json.loads(outcome.best_path.read_text())
    assert best["confirmed"]
    assert "train_loss" not in best["result"]
    assert best["study"]["command"][1:3] == ["-S", "smooth.py"]
    of_rung = run.rungs().query("horizon == 60").merge(trials[["trial", "peak_lr"]])
    assert list(of_rung["val_loss"]) == [
        1 + abs(math.log10(rate) + 1) + 1 / 60 for rate in of_rung["peak_lr"]
    ]
    behind = trials["trial"][trials["state"] == "pruned"]
    curves = run.curves()
    assert set(curves["step"][curves["trial"].isin(behind)]) == (
        {12, 24, 36, 48, 60} if kind == "squeeze" else {60}
    )


def test_a_pilot_reads_where_a_rung_would_cut(scripted: Callable[..., Any]) -> None:
    """The script evaluates at 60, 120 ...: a rung at 100 steps would cut it at 120."""
    fidelity = {"kind": "auto", "rungs": [100, 300], "min_steps": 20, "checks": 8}
    outcome, _ = scripted(fidelity=fidelity, training={"total_steps": 300, "parallel": 2})
    chosen = outcome.run.attributes["fidelity"]
    assert [rung["schedules"] for rung in chosen["truncate"]] == [8]
    assert [rung["correlation"] for rung in chosen["truncate"]] == [1.0]
    assert set(outcome.run.checks()["steps"]) == {300}


def test_what_a_trainer_does_not_report_is_nowhere(scripted: Callable[..., Any]) -> None:
    """Neither an accuracy nor a training loss, nor what an engine of ours is told."""
    outcome, _ = scripted(SMOOTH.replace("accuracy=1 - 1 / step", ""), OWN | {"metrics": {}})
    path = outcome.best_path.parent / "report.html"
    export_report([outcome.run], path)
    page = path.read_text().partition("study file")[0]
    text = re.sub(r"<script.*?</script>|<style.*?</style>", "", page, flags=re.DOTALL)
    assert "smooth.py, 60 steps" in text
    for word in ("accuracy", "batches of", "sgd", "training loss", "test split", "engine"):
        assert word not in text.lower(), word
    best = json.loads(outcome.best_path.read_text())
    assert set(best["result"]) == {"val_loss", "best_val_loss", "trial", "study"}


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("raise ValueError('no data')", "ended with exit code 1 (ValueError: no data): "),
        ("time.sleep(600)", "took longer than training.limit_minutes = 0.005: "),
    ],
)
def test_a_trainer_that_fails_at_once_stops_the_study_in_a_line(
    refused: Callable[..., str],
    cli: Command,
    tmp_path: Path,
    runs_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("smooth.py").write_text(HEAD + script)
    command = ["python", "-S", "smooth.py", *ARGUMENTS]
    study = merged(OWN, {"command": command, "training": {"limit_minutes": 0.005}})
    Path("own.toml").write_text(toml(study))
    line = refused("run", "own.toml", "--runs-dir", runs_dir, "--quiet")
    assert f"the trainer {words}{sys.executable} -S smooth.py " in line
    assert "failed/1/output.txt" in line
    assert set(open_run(runs_dir / "own").trials()["state"]) == {"waiting"}

    Path("smooth.py").write_text(HEAD + SMOOTH)
    code, _, err = cli("run", "own.toml", "--runs-dir", runs_dir)
    assert (code, err) == (0, "")
    assert list(open_run(runs_dir / "own").trials()["attempt"]) == [2, 2, 1, 1], "a batch of two"
    cli("delete", "own", "--yes", "--runs-dir", runs_dir)
    assert not (runs_dir / "own").exists()


@pytest.mark.parametrize("sampler", ["random", "GP"])
def test_a_trial_that_fails_later_is_diverged_and_told(
    scripted: Callable[..., Any], sampler: str
) -> None:
    script = 'if schedule["peak_lr"] > 0.2: sys.exit("out of memory")\n'
    outcome, notes = scripted(script + SMOOTH, trials=6, search={"sampler": sampler})
    trials = outcome.run.trials()
    assert len(trials) == 6
    failed = trials["peak_lr"] > 0.2
    assert 0 < failed.sum() < 6, "the study's seed gives both"
    assert (trials["state"] == failed.map({True: "diverged", False: "finished"})).all()
    told = [note for note in notes if "a training failed, and counts as diverged" in note]
    assert len(told) == failed.sum()
    assert all("(out of memory)" in note for note in told)


def test_the_plan_says_how_it_is_trained(
    cli: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.toml").write_text(toml(merged(OWN, {"command": WORDS})))
    code, out, err = cli("run", "own.toml", "--dry-run", "--parallel", 3)
    assert (code, err) == (0, "")
    assert f"trainer    {sys.executable} {TRAIN} --schedule '{{schedule}}' --steps" in out
    assert "; 3 at a time\n" in out
    assert "expected   as long as your own trainer takes, and 0.2 MB" in out
    assert "engine" not in out
    assert "optimizer" not in out
    code, out, err = cli("run", "own.toml", "--dry-run", "--json")
    assert json.loads(out)["minutes"] is None


def test_another_command_or_script_does_not_go_on_with_a_run(scripted: Callable[..., Any]) -> None:
    scripted()
    with pytest.raises(RunError, match=r"made with another study .command: "):
        scripted(command=["python", "-S", "-u", "smooth.py", *ARGUMENTS])
    with pytest.raises(RunError, match=r"made with another study .*smooth\.py"):
        scripted(SMOOTH + "pass\n", trials=5)
    assert len(scripted(SMOOTH + "# the same\n", trials=5)[0].run.trials()) == 5
