"""A compiled step equals plain torch loops too; and blocks are filled, freed, and stepped alike."""

import dataclasses
import shutil
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from fused_loops import (
    OPTIMIZERS,
    all_schedules,
    assert_equal,
    assert_same_curves,
    common,
    in_double,
)
from torch import nn

from schedsearch.schedules import Schedule
from schedsearch.tasks import Task, load_task
from schedsearch.training import Curve, Engine, OptimizerSpec, choose_engine, train
from schedsearch.training import compiled as compiled_module
from schedsearch.training.candidates import Bench, Candidate
from schedsearch.training.compiled import CompiledStep
from schedsearch.training.fused import train_fused
from schedsearch.training.stack import Block, Lane, Stack
from schedsearch.training.template import Template

needs_a_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("g++", "clang++", "c++"))),
    reason="torch.compile needs a C++ compiler",
)
SGD = OPTIMIZERS[0]


@pytest.fixture(scope="module")
def digits() -> Task:
    return load_task("digits")


@pytest.fixture
def double_scalars() -> Iterator[None]:
    """Compiled, an optimizer of the Adam kind reckons its bias correction in the default type."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@needs_a_compiler
@pytest.mark.parametrize("optimizer", [SGD, OptimizerSpec("NAdam", {})], ids=lambda o: o.name)
def test_equals_plain_loops_in_float64_and_planted_bugs_are_seen(
    digits: Task, optimizer: OptimizerSpec, double_scalars: None
) -> None:
    task = in_double(digits)
    peak = 0.03 if optimizer is SGD else 1e-3
    schedules = all_schedules(peak)[::6]
    assert_equal(task, schedules, optimizer, compiled=True)
    with pytest.raises(AssertionError):
        assert_equal(
            task,
            schedules,
            optimizer,
            steps=60,
            compiled=True,
            plant=lambda block, rates: rates.flip(0),
        )


@needs_a_compiler
def test_a_compiled_cnn_equals_the_reference_engine_whatever_lies_in_the_blocks() -> None:
    """Three blocks of two, one run of which diverges and one is stopped: one function for all."""
    task = load_task("digits", model="cnn")
    rates = (0.01, 0.03, 1e6, 0.02, 0.015)
    schedules = [Schedule("CosineAnnealingLR", rate) for rate in rates]
    settings = common(60)

    def stop(index: int, row: object) -> bool:
        return index == 3 and getattr(row, "step", 0) >= 30

    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    engine = Engine("fused", stack=8, block=2, compiled=True, channels_last=True)
    got = engine.train(task, schedules, on_eval=stop, **settings)  # type: ignore[arg-type]
    want = train(task, schedules, on_eval=stop, **settings)  # type: ignore[arg-type]
    assert [c.diverged for c in got] == [False, False, True, False, False]
    assert got[3].stopped
    assert_same_curves(got, want)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == before + 1


def graphs() -> int:
    return int(torch._dynamo.utils.counters["stats"]["unique_graphs"])


@needs_a_compiler
def test_the_step_that_the_probe_compiled_is_the_one_that_trains(
    digits: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its neighbours in size measured, as far as the training left pays for that."""
    monkeypatch.setattr("schedsearch.training.probe._MOST_COMPILED", 2)
    settings: dict[str, Any] = {"asked": "fused", "thread_count": 1, "waves": [(4, 1)]}
    before = graphs()
    long = choose_engine(digits, SGD, steps=10**8, **settings)
    assert (long.kind, long.compiled, long.stack) == ("fused", True, 4)
    assert long.block in (2, 4)
    probed = graphs()
    assert probed == before + 2
    schedules = [Schedule("StepLR", rate) for rate in (0.03, 0.02, 0.01)]
    got = long.train(digits, schedules, **common(60))  # type: ignore[arg-type]
    assert graphs() == probed
    assert_same_curves(got, train(digits, schedules, **common(60)))  # type: ignore[arg-type]

    for changes in ({"steps": 10**8, "compiles": False}, {"steps": 10**4}):
        assert not choose_engine(digits, SGD, **(settings | changes)).compiled
    assert graphs() == probed


@needs_a_compiler
@pytest.mark.parametrize(
    ("seeds", "stack"), [(0, 8), ([0, 1, 2, 0, 1, 2, 3], 8), ([0, 0, 0, 0, 1, 1, 1], 4)]
)
def test_lanes_train_like_the_reference_engine(
    digits: Task, seeds: int | list[int], stack: int
) -> None:
    """Two threads share compiled blocks; with shared batches, and own ones, of one seed a stack."""
    schedules = [Schedule("StepLR", rate) for rate in (0.03, 0.02, 1e6, 0.01, 0.025, 0.015, 0.01)]
    settings, own = common(90, seed=seeds), seeds != 0
    engine = Engine("fused", stack=stack, block=2, compiled=True, own_batches=own, lanes=2)
    got = engine.train(digits, schedules, **settings)  # type: ignore[arg-type]
    assert_same_curves(got, train(digits, schedules, **settings))  # type: ignore[arg-type]


def test_a_few_runs_are_trained_alone_where_that_is_faster(
    digits: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedules = [Schedule("StepLR", rate) for rate in (0.03, 0.02, 0.01, 0.025, 0.015)]
    engine = Engine("fused", stack=4, block=2, block_seconds=3.0, alone_seconds=1.0)
    heard: list[int] = []
    alone: list[object] = []

    def hear(index: int, curve: object) -> None:
        heard.append(index)

    def spied(task: Task, schedules: Sequence[Schedule], **settings: Any) -> list[Curve]:
        alone.append(schedules)
        return train(task, schedules, **settings)

    monkeypatch.setattr("schedsearch.training.engine.train", spied)

    settings = common(60)
    got = engine.train(digits, schedules, on_end=hear, **settings)  # type: ignore[arg-type]
    want = train(digits, schedules, **settings)  # type: ignore[arg-type]
    assert_same_curves(got, want)
    assert heard == [0, 1, 2, 3, 4]
    assert alone == [schedules[4:]]


def test_blocks_hold_and_free_runs_like_one_stack(digits: Task) -> None:
    task = in_double(digits)
    schedules = [Schedule("StepLR", rate) for rate in (0.03, 1e6, 0.02, 1e6, 0.01, 0.025, 0.015)]
    settings = common(seed=[0, 1, 2, 3, 4, 5, 6])
    whole = train_fused(task, schedules, **settings)  # type: ignore[arg-type]
    for block in (1, 2, 3, 16):
        for lanes, fill in ((1, False), (1, True), (2, False), (3, True)):
            got = train_fused(
                task,
                schedules,
                block=block,
                lanes=[Lane(Template(task)) for _ in range(lanes)],
                fill=fill,
                **settings,  # type: ignore[arg-type]
            )
            assert_same_curves(got, whole, rel=1e-12)


def test_a_block_is_free_as_soon_as_the_others_hold_all_runs(digits: Task) -> None:
    stack = Stack([Lane(Template(digits))], [0] * 7, SGD, block=3, fill=True)
    assert (len(stack), len(stack.blocks), len(stack.filled)) == (7, 3, 9)
    assert not stack.frees(7)
    assert stack.frees(6)
    stack.keep([0, 2, 4, 6])
    assert (len(stack), stack.filled) == (4, [0, 1, 2, 3, 0, 1])
    stack.keep([1])
    assert (len(stack), len(stack.blocks)) == (1, 1)
    assert Stack([Lane(Template(digits))], [0] * 7, SGD, block=3).filled == list(range(7))


@needs_a_compiler
def test_a_step_with_no_state_is_compiled_too(digits: Task) -> None:
    """That of SGD without momentum."""
    before = graphs()
    assert CompiledStep(Template(digits), OptimizerSpec("SGD", {}), 2).differs() is None
    assert graphs() == before + 1


def test_a_model_that_draws_without_a_layer_for_it_keeps_to_one_lane(digits: Task) -> None:
    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(64, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.head(nn.functional.dropout(x.flatten(1), 0.5, self.training))
            return out

    task = dataclasses.replace(digits, make_model=Noisy)
    assert Template(task).draws
    assert not Template(digits).draws
    settings = common(60)
    losses = [
        Engine("fused", stack=4, block=2, lanes=lanes)
        .train(task, [Schedule("Constant", 0.01)] * 4, **settings)[3]  # type: ignore[arg-type]
        .final.val_loss
        for lanes in (1, 2, 2)
    ]
    assert losses[0] == losses[1] == losses[2]
    for asked in ("auto", "fused"):
        engine = choose_engine(task, SGD, asked=asked, waves=[(8, 1)], steps=10**5)
        assert engine.lanes == 1


def test_a_lane_that_fails_stops_the_others(digits: Task) -> None:
    """So does Ctrl-C: nobody waits until every block has come to its next evaluation."""
    made: list[int] = []

    def fail(block: Block, *batch: object) -> torch.Tensor:
        raise RuntimeError("no memory left")

    def slow(block: Block, *batch: object) -> torch.Tensor:
        made.append(1)
        time.sleep(1e-3)
        return torch.zeros(1)

    lanes = [Lane(Template(digits), slow), Lane(Template(digits), fail)]
    stack = Stack(lanes, [0, 0], SGD, block=1)
    batches = [torch.arange(4)] * 20_000
    with pytest.raises(RuntimeError, match="no memory left"):
        stack.train(batches, torch.zeros(len(batches), 2, 1))
    assert len(made) < len(batches)


@needs_a_compiler
def test_a_compiled_step_that_differs_is_not_used(
    digits: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Doubled(nn.Linear):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return super().forward(input) * 2

    def wrong(model: nn.Module) -> nn.Module:
        layer = nn.Sequential(nn.Flatten(), Doubled(64, 10))
        layer.load_state_dict(model.state_dict())
        return layer

    task = dataclasses.replace(
        digits, make_model=lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    )
    monkeypatch.setattr("schedsearch.training.template.as_products", wrong)
    problem = CompiledStep(Template(task), SGD, 2).differs()
    assert problem is not None
    assert "differ by" in problem


@needs_a_compiler
def test_a_compiler_that_must_not_be_trusted_is_asked_what_it_can_do(
    digits: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled_module, "_TRUSTING", {"cpp.no_such_option": True})
    lanes, problem = compiled_module.compiled_lanes(digits, SGD, 2, 1)
    assert (len(lanes), problem) == (1, None)


def test_a_compiler_that_fails_is_one_line(digits: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **settings: object) -> object:
        raise RuntimeError("No working C++ compiler\nfound here")

    monkeypatch.setattr(compiled_module.CompiledStep, "differs", fail)
    bench = Bench(digits, SGD, 0.01, [(4, 1)])
    problem = bench.compile(Candidate("fused", 4, 1, compiled=True))
    assert problem == "torch.compile failed: No working C++ compiler found here"
