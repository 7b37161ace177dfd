"""What is fused, what is not, and how the engine is chosen."""

import dataclasses
import types
from collections.abc import Callable
from typing import Any

import psutil
import pytest
import torch
from fused_loops import OPTIMIZERS, assert_same_curves, common
from torch import Tensor, nn

from schedsearch.schedules import Schedule
from schedsearch.tasks import Task, load_task
from schedsearch.training import Engine, OptimizerSpec, choose_engine, train
from schedsearch.training import probe as probe_module
from schedsearch.training.candidates import threads
from schedsearch.training.template import Template, why_not_fused


@pytest.fixture(scope="module")
def digits() -> Task:
    return load_task("digits")


def choose(task: Task, **changes: Any) -> Engine:
    """Choose for SGD on one thread, where 10,000 steps are left to be trained."""
    settings: dict[str, Any] = {"thread_count": 1, "waves": [(16, 1)], "steps": 10**4}
    return choose_engine(task, OPTIMIZERS[0], **(settings | changes))


def with_model(task: Task, make: Callable[[], nn.Module]) -> Task:
    return dataclasses.replace(task, make_model=make)


def shared_layers() -> nn.Module:
    layer = nn.Linear(64, 64)
    return nn.Sequential(nn.Flatten(), layer, nn.ReLU(), layer, nn.Linear(64, 10))


def frozen_layer() -> nn.Module:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    model[1].bias.requires_grad_(False)
    return model


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(x.flatten(1))
        return out if out.sum() > 0 else -out


REFUSED: dict[str, tuple[Callable[[], nn.Module] | None, OptimizerSpec, str]] = {
    "batch norm": (
        lambda: nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, 10)),
        OPTIMIZERS[0],
        "buffer",
    ),
    "a shared layer": (shared_layers, OPTIMIZERS[0], "shares"),
    "a frozen layer": (frozen_layer, OPTIMIZERS[0], "frozen"),
    "a branch on a value": (Branches, OPTIMIZERS[0], "vmap refuses"),
    "RMSprop": (None, OptimizerSpec("RMSprop", {}), "RMSprop"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_fused_runs_on_the_reference_engine_and_says_why(
    digits: Task, case: str
) -> None:
    make, optimizer, word = REFUSED[case]
    task = digits if make is None else with_model(digits, make)
    refusal = why_not_fused(task, optimizer)
    assert refusal is not None
    assert word in refusal
    for asked in ("auto", "fused"):
        engine = choose_engine(
            task, optimizer, asked=asked, thread_count=1, waves=[(8, 1)], steps=10**6
        )
        assert engine.kind == "reference"
        assert refusal in engine.reason
    settings = common(20, optimizer=optimizer, eval_steps=(20,))
    schedules = [Schedule("Constant", 1e-3), Schedule("StepLR", 1e-3)]
    got = engine.train(task, schedules, **settings)  # type: ignore[arg-type]
    assert_same_curves(got, train(task, schedules, **settings), rel=0)  # type: ignore[arg-type]


def test_a_schedule_that_moves_the_momentum_is_trained_alone(digits: Task) -> None:
    moving = Schedule("OneCycleLR", 0.03, {"cycle_momentum": True})
    schedules = [Schedule("StepLR", 0.03), moving, Schedule("Constant", 0.03)]
    heard: list[int] = []
    engine = Engine("fused", stack=8)
    got = engine.train(
        digits,
        schedules,
        on_end=lambda index, curve: heard.append(index),
        **common(),  # type: ignore[arg-type]
    )
    want = train(digits, schedules, **common())  # type: ignore[arg-type]
    assert_same_curves(got, want)
    assert sorted(heard) == [0, 1, 2]
    assert [r.val_loss for r in got[1].rows] == [r.val_loss for r in want[1].rows]


def test_the_choice_is_by_measurement_and_can_be_overridden(digits: Task) -> None:
    free = choose(digits)
    assert free.kind in ("reference", "fused")
    assert "ms a step and run" in free.reason
    forced = choose_engine(
        digits, OPTIMIZERS[0], asked="fused", stack=5, thread_count=1, waves=[(16, 1)], steps=10**4
    )
    assert (forced.kind, forced.stack, forced.threads) == ("fused", 5, 1)
    plain = choose_engine(
        digits, OPTIMIZERS[0], asked="reference", thread_count=1, waves=[(16, 1)], steps=10**4
    )
    assert plain.kind == "reference"


def test_a_stack_that_memory_cannot_hold_is_reduced_and_says_so(
    digits: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert probe_module.most_that_fit(Template(digits)) > 100
    monkeypatch.setattr(probe_module, "most_that_fit", lambda template: 3)
    engine = choose_engine(
        digits, OPTIMIZERS[0], asked="fused", stack=64, thread_count=1, waves=[(64, 1)], steps=10**4
    )
    assert engine.stack == 3
    assert "memory holds 3 at once, not 64" in engine.reason


@pytest.mark.parametrize("most", [1, 7])
def test_a_stack_takes_no_more_than_half_of_the_free_memory(
    digits: Task, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    free = int(2.5 * most * Template(digits).run_bytes())
    monkeypatch.setattr(psutil, "virtual_memory", lambda: types.SimpleNamespace(available=free))
    engine = choose(digits, asked="fused", stack=64, waves=[(64, 1)])
    assert most <= engine.stack <= 1.25 * most
    assert engine.stack * Template(digits).run_bytes() <= free / 2
    assert f"memory holds {engine.stack} at once, not 64" in engine.reason


def test_an_engine_trains_with_its_threads_and_leaves_them_as_they_were(digits: Task) -> None:
    seen: list[int] = []
    engine = Engine("fused", stack=2, threads=2, alone_threads=1)
    schedules = [Schedule("Constant", 0.01), Schedule("OneCycleLR", 0.01, {"cycle_momentum": True})]
    with threads(1):
        engine.train(
            digits,
            schedules,
            on_end=lambda index, curve: seen.append(torch.get_num_threads()),
            **common(20, eval_steps=(20,)),  # type: ignore[arg-type]
        )
        assert torch.get_num_threads() == 1
    assert seen == [2, 1]


def test_a_stack_is_no_larger_than_what_the_study_asks_at_once(digits: Task) -> None:
    engine = choose(digits, asked="fused", stack=10**6, waves=[(4, 1)])
    assert engine.stack == 4
    assert "this study asks 4 at once, not 1000000" in engine.reason
