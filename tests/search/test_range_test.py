"""base_lr = "auto": the range test against a plain loop, its rule, and that it is made once."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from schedsearch import Schedule, settle, train
from schedsearch.analysis import Run
from schedsearch.analysis.figures import range_test as figure
from schedsearch.analysis.snapshot import Snapshot
from schedsearch.errors import ConfigError, RunError
from schedsearch.launch import Outcome, confirm_run
from schedsearch.search.events import Chosen, Event
from schedsearch.seeds import derive_seed
from schedsearch.tasks import load_task
from schedsearch.training import OptimizerSpec
from schedsearch.training.range_test import HIGHEST, LOWEST, STEPS, RangeTest, run_range_test

Launch = Callable[..., Outcome]
Command = Callable[..., tuple[int, str, str]]
AUTO: dict[str, Any] = {"space": {"base_lr": "auto"}, "training": {"engine": "reference"}}
SGD, ADAM = OptimizerSpec(), OptimizerSpec("Adam", {})


def losses_by_hand(optimizer: str, seed: int) -> tuple[list[float], list[float]]:
    """Train with a rate that is multiplied by hand; what is needed of schedsearch is the task."""
    task = load_task("digits", model="mlp")
    model = task.model(seed)
    args = {"momentum": 0.9} if optimizer == "SGD" else {}
    optim = getattr(torch.optim, optimizer)(model.parameters(), lr=1.0, **args)
    rates = np.geomspace(LOWEST, HIGHEST, STEPS).tolist()
    losses = []
    for rate, rows in zip(rates, task.batch_indices(seed, STEPS), strict=True):
        optim.param_groups[0]["lr"] = rate
        optim.zero_grad()
        outputs = model(task.train.inputs[rows])
        loss = torch.nn.functional.cross_entropy(outputs, task.train.targets[rows])
        loss.backward()  # type: ignore[no-untyped-call]
        optim.step()
        losses.append(loss.item())
    return rates, losses


@pytest.mark.parametrize("spec", [SGD, ADAM], ids=lambda spec: spec.name)
def test_the_losses_are_those_of_a_plain_loop(spec: OptimizerSpec) -> None:
    found = run_range_test(load_task("digits", model="mlp"), spec, seed=5)
    assert len(found.losses) == 3
    for number, losses in enumerate(found.losses):
        rates, expected = losses_by_hand(spec.name, derive_seed(5, "range test", number))
        assert found.rates == pytest.approx(rates, rel=1e-9)
        stable = found.lowest_at  # beyond, rates of 1 and more amplify the last bit
        assert losses[:stable] == pytest.approx(expected[:stable], rel=1e-3)
    assert run_range_test(load_task("digits", model="mlp"), spec, 5).losses == found.losses
    assert run_range_test(load_task("digits", model="mlp"), spec, 6).losses != found.losses


@pytest.mark.parametrize("spec", [SGD, ADAM], ids=lambda spec: spec.name)
def test_the_best_rate_of_a_real_search_lies_well_inside(spec: OptimizerSpec) -> None:
    task = load_task("digits", model="mlp")
    low, high = run_range_test(task, spec, seed=0).chosen
    assert high / low == pytest.approx(100, rel=0.1)
    rates = np.geomspace(low, high, 7).tolist()
    schedules = [Schedule("CosineAnnealingLR", rate) for rate in rates]
    curves = train(task, schedules, total_steps=150, seed=1, eval_steps=(75, 150), optimizer=spec)
    ends = [math.inf if c.diverged else c.final.val_loss for c in curves]
    assert 0 < int(np.argmin(ends)) < 6


def made(losses: Any, rates: Any = None) -> RangeTest:
    """Make a test of one seed."""
    if rates is None:
        rates = np.geomspace(1e-6, 10, len(losses))
    return RangeTest(tuple(map(float, rates)), (tuple(map(float, losses)),))


def a_course(fall: int = 90, rise: int = 120) -> np.ndarray:
    """Give losses that start at 2.3, fall about a step, and blow up after another."""
    steps = np.arange(150)
    losses = 0.3 + 2.0 / (1 + np.exp((steps - fall) / 4))
    return losses + np.where(steps > rise, np.exp(np.minimum((steps - rise) / 3, 50)), 0)


def by_pandas(losses: np.ndarray) -> tuple[int, int]:
    """Find the steepest and the lowest step of one course with pandas and numpy."""
    smooth = pd.Series(losses).ewm(alpha=0.1).mean().to_numpy()
    too_high = np.flatnonzero(smooth > 1.2 * smooth[:20].mean())
    end = too_high[0] if len(too_high) else len(smooth)
    lowest = int(np.argmin(smooth[:end]))
    return 1 + int(np.argmin(smooth[2 : lowest + 1] - smooth[: lowest - 1])), lowest


@given(st.integers(30, 110), st.integers(5, 35), st.floats(0.01, 100), st.floats(0.1, 10))
def test_the_rule(fall: int, later: int, loss_unit: float, rate_unit: float) -> None:
    losses = a_course(fall, fall + later)
    test = made(losses)
    steepest, lowest = by_pandas(losses)
    assert (test.steepest_at, test.lowest_at) == (steepest, lowest)
    centre = (test.rates[steepest] * test.rates[lowest]) ** 0.5 / 2
    assert test.centre == pytest.approx(centre)
    assert test.chosen == pytest.approx((centre / 10, centre * 10), rel=0.05)
    other = made(losses * loss_unit, np.array(test.rates) * rate_unit)
    assert other.centre == pytest.approx(test.centre * rate_unit), "units don't matter"


def test_several_seeds_are_averaged_and_what_is_no_number_ends_the_course() -> None:
    one, other = a_course(80), a_course(100)
    rates = tuple(np.geomspace(1e-6, 10, 150).tolist())
    both = RangeTest(rates, (tuple(one), tuple(other)))
    assert both.smoothed == pytest.approx(made((one + other) / 2).smoothed)
    broken = np.where(np.arange(150) > 115, np.inf, other)
    test = RangeTest(rates, (tuple(one), tuple(broken)))
    assert test.lowest_at <= 115
    again = RangeTest.from_dict(json.loads(json.dumps(test.to_dict(), allow_nan=False)))
    assert again == test


@pytest.mark.parametrize(
    "losses", [np.full(150, 2.3), np.linspace(2.3, 9, 150), np.full(150, np.inf)]
)
def test_a_loss_that_never_falls_is_told(losses: np.ndarray) -> None:
    with pytest.raises(ConfigError, match="fell at no rate from 1e-06 to 10: give the range"):
        _ = made(losses).chosen
    with pytest.raises(ValueError, match="a loss of each step"):
        RangeTest((1.0, 2.0), ((1.0,),))


@pytest.fixture
def once(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count how often the test is made."""
    calls: list[int] = []

    def counted(*args: Any) -> RangeTest:
        calls.append(1)
        return run_range_test(*args)

    monkeypatch.setattr(settle, "run_range_test", counted)
    return calls


def identity(run: Run) -> Any:
    return run.attributes["identity"]["space.base_lr"]


def test_a_run_is_made_with_the_range_of_its_test_and_keeps_it(
    launch: Launch, once: list[int]
) -> None:
    events: list[Event] = []
    run = launch(run_options={"on_event": events.append}, **AUTO).run
    test = RangeTest.from_dict(run.attributes["range_test"])
    direct = run_range_test(load_task("digits", model="mlp"), SGD, run.config.seed)
    assert test.losses == direct.losses
    low, high = direct.chosen
    assert identity(run) == [low, high]
    assert len(json.dumps(run.attributes["range_test"])) < 64_000
    (line,) = [e.text for e in events if isinstance(e, Chosen) and "base_lr" in e.text]
    assert line.startswith(f"base_lr = {low:g} to {high:g}, by a range test of 3 x 150 steps (")
    assert run.trials()["base_lr"].between(low, high).all()

    more = launch(trials=8, **AUTO).run
    assert len(once) == 1, "no new test"
    assert identity(more) == [low, high]
    assert len(more.trials()) == 8
    assert more.trials()["base_lr"].between(low, high).all()
    launch(trials=9, space={"base_lr": [low, high]})  # the same, said in numbers
    with pytest.raises(RunError, match=r"space.base_lr: \[.*\] -> \[0.5, 1.0\]"):
        launch(trials=9, space={"base_lr": [0.5, 1.0]})
    assert launch(trials=10, **AUTO).run.config.space.base_lr == "auto"
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
    confirmed = confirm_run(run, runs_dir=runs_dir, seeds=4, device="cpu").run.confirmed
    assert len(once) == 1
    assert confirmed is not None
    rates = [f.finalist.schedule.base_lr for f in confirmed.finalists]
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
    assert marked["falls fastest"] == test.rates[test.steepest_at]
    assert marked["lowest"] == test.rates[test.lowest_at]
    (panel,) = figure.draw(table).panels
    assert [guide.x for guide in panel.guides] == list(identity(run))
    assert [len(s.x) for s in panel.series if s.name == "falls fastest and lowest"] == [2]
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
