"""best.json: built in a plain loop, exact, and read without executing anything."""

import builtins
import importlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from sqlalchemy import text
from torch import nn

from schedsearch import Schedule, Warmup, load_schedule, open_run
from schedsearch.compat import trial_id_of
from schedsearch.confirmation.scores import score_of
from schedsearch.errors import RunError, ScheduleError, StorageError
from schedsearch.launch import Outcome
from schedsearch.report.best_json import best_of, export_best
from schedsearch.store.names import scores_name
from schedsearch.store.records import SCHEDULE

Launch = Callable[..., Outcome]


def plain_loop(schedule: Schedule, total_steps: int) -> list[float]:
    """Train as a person would, and return the rates that were used."""
    torch.manual_seed(0)
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    scheduler = schedule.build(optimizer, total_steps=total_steps)
    inputs, targets = torch.randn(64, 4), torch.randint(2, (64,))
    every = total_steps // schedule.evals
    rates = []
    for step in range(1, total_steps + 1):
        loss = nn.functional.cross_entropy(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        rates.append(optimizer.param_groups[0]["lr"])
        scheduler.step()
        if schedule.reacts_to_metric and step % every == 0:
            scheduler.step(1.0)  # type: ignore[arg-type]  # it never improves
    assert isinstance(scheduler, torch.optim.lr_scheduler.LRScheduler)
    return rates


@pytest.mark.parametrize(
    "family", ["CosineAnnealingLR", "OneCycleLR", "ReduceLROnPlateau", "MultiStepLR"]
)
def test_a_runs_best_schedule_builds_a_scheduler_in_a_plain_loop(
    launch: Launch, family: str
) -> None:
    space = {"peak_lr": [0.05, 0.1], "warmup": "always"}
    outcome = launch(trials=1, families=[family], space=space)
    schedule = load_schedule(outcome.best_path)
    assert schedule == outcome.run.best.schedule
    metrics = [1.0] * 5 if schedule.reacts_to_metric else None
    for total_steps in (60, 1000):
        assert plain_loop(schedule, total_steps) == schedule.trace(total_steps, metrics=metrics)


def test_best_json_says_what_it_is_worth(finished: Path) -> None:
    run = open_run(finished)
    data = json.loads((finished / "best.json").read_text())
    best = run.best
    score = score_of(run, best.schedule)
    assert score is not None
    assert data["format"] == "schedsearch.best"
    assert data["confirmed"] is False
    assert "8 finished trials" in data["claim"]
    assert "not confirmed" in data["claim"]
    assert data["result"]["trial"] == best.trial
    assert data["result"]["val_loss"] == best.result["val_loss"]
    assert data["result"]["test_accuracy"] == score.test["accuracy"]
    assert data["result"]["target"] == {"metric": "val_accuracy", "value": 0.96}
    assert data["study"]["total_steps"] == 60
    assert data["study"]["task"] == "digits"
    assert data["study"]["optimizer_args"] == {"momentum": 0.9}
    assert data["study"]["fingerprint"] == run.attributes["fingerprint"]
    assert data == best_of(run), "and an export later writes the same"


def test_the_score_of_another_schedule_is_not_shown(launch: Launch, tmp_path: Path) -> None:
    run = launch(trials=1).run
    other = replace(run.best.schedule, peak_lr=2 * run.best.schedule.peak_lr)
    (scored,) = run.ended_trials(scores_name(run.name))
    change = "UPDATE trial_system_attributes SET value_json = :v WHERE trial_id = :i AND key = :k"
    values = {"v": other.to_json(), "i": trial_id_of(scored), "k": SCHEDULE}
    with run.storage.engine.begin() as connection:
        connection.execute(text(change), values)
    again = open_run(tmp_path / "runs" / "tiny")
    assert score_of(again, other) is not None
    assert "test_accuracy" not in best_of(again)["result"]


def test_a_file_of_schedule_json_alone_is_loaded_too(tmp_path: Path) -> None:
    schedule = Schedule("MultiStepLR", 0.3, {"milestones": (0.2, 0.7)}, Warmup(0.1))
    path = tmp_path / "schedule.json"
    path.write_text(schedule.to_json())
    assert load_schedule(path) == load_schedule(str(path)) == schedule


def test_export_makes_its_folder_and_says_what_it_cannot(finished: Path, tmp_path: Path) -> None:
    run = open_run(finished)
    export_best(run, tmp_path / "new" / "best.json")
    assert load_schedule(tmp_path / "new" / "best.json") == run.best.schedule
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot write"):
        export_best(run, tmp_path / "file" / "best.json")


def test_a_run_without_a_finished_trial_exports_nothing(launch: Launch, tmp_path: Path) -> None:
    def stop(event: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launch(trials=1, run_options={"on_event": stop})
    run = open_run(tmp_path / "runs" / "tiny")
    with pytest.raises(RunError, match="no finished trial"):
        export_best(run, tmp_path / "best.json")
    assert not (tmp_path / "best.json").exists()


# --- what may stand in a file ----------------------------------------------------------------

BEST = {"format": "schedsearch.best", "version": 2}
GOOD = Schedule("StepLR", 0.1, {"step_frac": 0.5, "gamma": 0.1}, Warmup(0.1)).to_dict()


def without(key: str) -> dict[str, Any]:
    return {k: v for k, v in GOOD.items() if k != key}


BAD: dict[str, Any] = {
    "empty": "",
    "truncated": json.dumps(BEST | {"schedule": GOOD})[:-20],
    "no object": "[1, 2]",
    "a number": "3",
    "null": "null",
    "binary": b"\x80\x04\x95pickle\xff",
    "deeply nested": "[" * 100_000,
    "nested inside": json.dumps(BEST)[:-1] + ', "schedule": ' + '{"params":' * 50_000,
    "another format": {"format": "somebody.else", "version": 2},
    "no format": GOOD | {"format": None},
    "no version": {"format": "schedsearch.best", "schedule": GOOD},
    "newer version": BEST | {"version": 3, "schedule": GOOD},
    "newer schedule": BEST | {"schedule": GOOD | {"version": 3}},
    "no schedule": BEST,
    "schedule is a list": BEST | {"schedule": [1]},
    "schedule is null": BEST | {"schedule": None},
    "unknown key": GOOD | {"evil": 1},
    "unknown family": GOOD | {"family": "StepRL"},
    "family is a number": GOOD | {"family": 5},
    "family is a list": GOOD | {"family": ["StepLR"]},
    "a function": GOOD | {"family": "os:system"},
    "an attribute of a module": GOOD | {"family": "os:environ"},
    "a module not imported": GOOD | {"family": "antigravity:Family"},
    "an empty attribute": GOOD | {"family": "os:"},
    "an empty module": GOOD | {"family": ":system"},
    "dotted attribute": GOOD | {"family": "os:path.join"},
    "dunder": GOOD | {"family": "builtins:__import__"},
    "no family": without("family"),
    "no params": without("params"),
    "no warmup": without("warmup"),
    "params is a list": GOOD | {"params": [1]},
    "unknown parameter": GOOD | {"params": {"gama": 0.1}},
    "parameter is text": GOOD | {"params": {"gamma": "0.1"}},
    "parameter is a table": GOOD | {"params": {"gamma": {"x": 1}}},
    "parameter out of range": GOOD | {"params": {"gamma": 7.0}},
    "parameter is NaN": json.dumps(GOOD | {"params": {"gamma": float("nan")}}),
    "parameter is huge": GOOD | {"params": {"gamma": 10**400}},
    "rate is text": GOOD | {"peak_lr": "0.1"},
    "rate is zero": GOOD | {"peak_lr": 0},
    "rate is true": GOOD | {"peak_lr": True},
    "rate is infinite": json.dumps(GOOD | {"peak_lr": float("inf")}),
    "rate is huge": GOOD | {"peak_lr": 10**400},
    "warmup is a number": GOOD | {"warmup": 0.1},
    "warmup lacks frac": GOOD | {"warmup": {"start_factor": 0.1}},
    "warmup has more": GOOD | {"warmup": {"frac": 0.1, "evil": 1}},
    "warmup is all": GOOD | {"warmup": {"frac": 1.0}},
    "unknown step unit": GOOD | {"step_unit": "minute"},
    "step unit is a list": GOOD | {"step_unit": ["step"]},
    "evals is zero": GOOD | {"evals": 0},
    "evals is text": GOOD | {"evals": "20"},
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD.keys())
def test_what_is_no_schedule_is_one_line_that_names_the_file(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "best.json"
    if isinstance(content, dict):
        content = json.dumps(content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ScheduleError) as caught:
        load_schedule(path)
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    assert len(text) < 1000


def test_a_newer_file_says_what_to_install(tmp_path: Path) -> None:
    path = tmp_path / "best.json"
    path.write_text(json.dumps(BEST | {"version": 7, "schedule": GOOD}))
    with pytest.raises(ScheduleError, match=r"version 7.*pip install -U schedsearch"):
        load_schedule(path)


def test_files_that_cannot_be_read_are_a_message(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(ScheduleError, match="cannot read"):
            load_schedule(path)


def test_loading_executes_and_imports_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A family of one's own must have been imported by the person, never by a file."""
    (tmp_path / "trap.py").write_text("raise SystemExit('the file was executed')")
    monkeypatch.syspath_prepend(tmp_path)

    def forbidden(*args: object, **options: object) -> None:
        raise AssertionError(f"executed: {args}")

    path = tmp_path / "best.json"
    with monkeypatch.context() as patch:
        for where, name in (
            (importlib, "import_module"),
            (os, "system"),
            (os, "popen"),
            (builtins, "eval"),
            (builtins, "exec"),
        ):
            patch.setattr(where, name, forbidden)
        for family in ("trap:FAMILY", "os:system", "os:popen", "builtins:exec", "trap"):
            path.write_text(json.dumps(GOOD | {"family": family}))
            with pytest.raises(ScheduleError):
                load_schedule(path)
    assert "trap" not in sys.modules
