"""peak_lr = "auto", or left out: where a run has its range from, that it keeps and shows it."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from schedsearch import open_run
from schedsearch.config import StudyConfig
from schedsearch.confirmation.read import last_confirmation
from schedsearch.errors import ConfigError, RunError
from schedsearch.launch import Outcome, confirm_run
from schedsearch.report.figures import range_test as figure
from schedsearch.report.snapshot import Snapshot
from schedsearch.search import peak_lr
from schedsearch.search.draft import draft_of
from schedsearch.search.events import Chosen, Event, Note
from schedsearch.search.peak_lr import PeakRange
from schedsearch.store.run import Run
from schedsearch.tasks.registry import load_task
from schedsearch.training.optimizers import OptimizerSpec
from schedsearch.training.range_test import RangeTest, run_range_test
from schedsearch.training.recipe import Recipe

Launch = Callable[..., Outcome]
Command = Callable[..., tuple[int, str, str]]
AUTO: dict[str, Any] = {"space": {"peak_lr": "auto"}, "training": {"engine": "reference"}}


@pytest.fixture
def once(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that holds an entry for each range test that is made."""
    calls: list[int] = []

    def counted(*args: Any) -> RangeTest:
        calls.append(1)
        return run_range_test(*args)

    monkeypatch.setattr(peak_lr, "run_range_test", counted)
    return calls


def identity(run: Run) -> Any:
    return run.attributes["identity"]["space.peak_lr"]


def test_a_run_is_made_with_the_range_of_its_test_and_keeps_it(
    launch: Launch, once: list[int]
) -> None:
    events: list[Event] = []
    run = launch(run_options={"on_event": events.append}, **AUTO).run
    test = RangeTest.from_dict(run.attributes["range_test"])
    recipe = Recipe(load_task("digits", model="mlp"), OptimizerSpec(), evals=1)
    direct = run_range_test(recipe, run.config.seed)
    assert test.losses == direct.losses
    low, high = direct.chosen
    assert identity(run) == [low, high]
    assert len(json.dumps(run.attributes["range_test"])) < 64_000
    (line,) = [e.text for e in events if isinstance(e, Chosen) and "peak_lr" in e.text]
    assert line.startswith(f"peak_lr = {low:g} to {high:g}, by a range test of 3 x 150 steps (")
    assert run.trials()["peak_lr"].between(low, high).all()

    more = launch(trials=8, **AUTO).run
    assert len(once) == 1, "no new test"
    assert identity(more) == [low, high]
    assert len(more.trials()) == 8
    assert more.trials()["peak_lr"].between(low, high).all()
    launch(trials=9, space={"peak_lr": [low, high]})  # the same, said in numbers
    with pytest.raises(RunError, match=r"space.peak_lr: \[.*\] -> \[0.5, 1.0\]"):
        launch(trials=9, space={"peak_lr": [0.5, 1.0]})
    assert launch(trials=10, **AUTO).run.config.space.peak_lr == "auto"
    assert len(once) == 1


def test_a_run_that_was_made_with_numbers_keeps_them(launch: Launch, once: list[int]) -> None:
    launch()
    run = launch(trials=6, **AUTO).run
    assert identity(run) == [0.01, 1.0]
    assert not once
    assert "range_test" not in run.attributes


def test_the_confirmation_takes_the_stored_range(launch: Launch, once: list[int]) -> None:
    run = launch(**AUTO, confirmation={"seeds": 0, "finalists": 1}).run
    low, high = identity(run)
    runs_dir = run.place.folder.parent if run.place.folder else ""
    confirmed = last_confirmation(confirm_run(run, runs_dir=runs_dir, seeds=4, device="cpu").run)
    assert len(once) == 1
    assert confirmed is not None
    rates = [f.finalist.schedule.peak_lr for f in confirmed.finalists]
    assert all(low <= rate <= high for rate in rates)


def test_the_figure_shows_the_stored_test(launch: Launch) -> None:
    run = launch(**AUTO).run
    test = RangeTest.from_dict(run.attributes["range_test"])
    table = figure.table(Snapshot.of(run))
    assert tuple(table.columns) == figure.COLUMNS
    for number, losses in enumerate(test.losses, start=1):
        rows = table[table["line"] == f"seed {number}"].set_index("step")["loss"]
        assert rows.to_dict() == {i: x for i, x in enumerate(losses, 1) if math.isfinite(x)}
    marked = table[table["what"] != ""].set_index("what")["lr"]
    assert marked["a quarter of the fall"] == test.rates[test.begun_at]
    assert marked["lowest"] == test.rates[test.lowest_at]
    (panel,) = figure.draw(table).panels
    assert [guide.x for guide in panel.guides] == list(identity(run))
    assert [len(s.x) for s in panel.series if s.name == "a quarter of the fall and lowest"] == [2]
    assert figure.table(Snapshot.of(launch(name="numbers").run)).empty


def test_a_dry_run_tests_and_stores_nothing(
    cli: Command, study_file: Callable[..., Path], runs_dir: Path, once: list[int]
) -> None:
    file = study_file(name="dry", **AUTO)
    code, out, err = cli("run", file, "--runs-dir", runs_dir, "--dry-run")
    assert (code, err) == (0, "")
    assert "by a range test of 3 x 150 steps" in out
    assert not runs_dir.exists()
    code, out, err = cli("run", file, "--runs-dir", runs_dir, "--no-report")
    assert (code, err) == (0, "")
    assert "by a range test of 3 x 150 steps" in out
    database = (runs_dir / "dry" / "study.db").read_bytes()
    code, out, err = cli("run", file, "--runs-dir", runs_dir, "--dry-run")
    assert (code, err) == (0, "")
    assert "log, as the run was made" in out
    assert len(once) == 2, "the first dry run, and the run"
    assert (runs_dir / "dry" / "study.db").read_bytes() == database


OPEN: dict[str, Any] = {"space": {"peak_lr": None}, "families": ["Constant"], "trials": 2}


@pytest.mark.parametrize(
    ("training", "rates", "origin"),
    [
        ({"optimizer": "SGD"}, [0.003, 0.3], "the default of SGD with momentum ("),
        ({"optimizer": "AdamW"}, [1e-4, 1e-2], "the default of AdamW ("),
        ({"optimizer": "SGD", "optimizer_args": {}}, [0.01, 1.0], "the default of SGD without mom"),
    ],
)
def test_a_range_left_out_is_the_usual_one_of_the_optimizer(
    make_config: Callable[..., StudyConfig],
    once: list[int],
    training: dict[str, Any],
    rates: list[float],
    origin: str,
) -> None:
    draft = draft_of(make_config(**OPEN, training=training), "cpu")
    peak = draft.given_peak_lr
    assert [peak.low, peak.high] == draft.identity(peak)["space.peak_lr"] == rates
    assert f", log, {origin}" in peak.words()
    assert draft.plan(peak).searches[0].space.peak_lr.high == rates[1]
    assert not once


def test_a_run_and_a_dry_run_say_whose_default_it_is(cli: Command, tmp_path: Path) -> None:
    file = tmp_path / "usual.toml"
    file.write_text(
        'task = "digits"\nfamilies = ["Constant"]\ntrials = 2\nfidelity.kind = "full"\n'
        'confirmation.seeds = 0\nspace.warmup = "none"\n[training]\n'
        'optimizer = "AdamW"\ntotal_steps = 20\nevals_per_run = 1\nengine = "reference"\n'
    )
    command = ("run", file, "--runs-dir", tmp_path, "--no-report")
    text = "0.0001 to 0.01, log, the default of AdamW (a decade around 0.001: Loshchilov & Hutter"
    code, out, err = cli(*command, "--dry-run")
    assert (code, err) == (0, "")
    assert f"peak_lr    {text}" in out
    code, out, err = cli(*command)
    assert (code, err) == (0, "")
    assert f"peak_lr = {text}" in out
    run = open_run(tmp_path / "usual")
    assert identity(run) == [1e-4, 1e-2]
    assert run.config.space.peak_lr is None
    assert run.trials()["peak_lr"].between(1e-4, 1e-2).all()


def test_an_optimizer_of_ones_own_is_left_to_a_range_test(
    make_config: Callable[..., StudyConfig],
) -> None:
    training = {"optimizer": "user_parts:TensorRateSGD"}
    draft = draft_of(make_config(**OPEN, training=training), "cpu")
    assert draft.peak_lr_is_open


class Still(nn.Module):
    """A model whose loss no rate lowers."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(10))

    def forward(self, images: Tensor) -> Tensor:
        """Map each image to the same numbers."""
        return (0.0 * self.weight).expand(len(images), 10)


def test_a_range_test_that_cannot_tell_falls_back_to_the_usual_range_or_says_so() -> None:
    task = replace(load_task("digits", model="mlp", batch_size=2), make_model=Still)
    events: list[Event] = []

    def found(name: str) -> PeakRange:
        recipe = Recipe(task, OptimizerSpec(name, {}), evals=1)
        return peak_lr.find_peak_range(recipe, 0, thread_count=1, on_event=events.append)

    usual = found("AdamW")
    assert (usual.low, usual.high, usual.test) == (1e-4, 1e-2, None)
    (note,) = events
    assert isinstance(note, Note)
    assert "by more than its noise, on 9 seeds: peak_lr = 0.0001 to 0.01, log, the def" in note.text
    with pytest.raises(ConfigError, match=r"on 9 seeds: give the range, peak_lr = \[low, high\]$"):
        found("user_parts:TensorRateSGD")
    assert len(events) == 1
