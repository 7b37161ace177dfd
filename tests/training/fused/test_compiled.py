"""A compiled step equals plain torch loops, and is used where it is right."""

import dataclasses
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from fused_loops import (
    OPTIMIZERS,
    all_schedules,
    assert_equal,
    assert_same_curves,
    in_double,
    jobs_of,
    recipe_of,
)
from real_models import EVALS, MODELS, STEPS, no_decay, task_of
from torch import nn

from schedsearch.compat import cpu_compile_options
from schedsearch.schedules.schedule import Schedule
from schedsearch.tasks.registry import load_task
from schedsearch.tasks.task import Task
from schedsearch.training.choice import blocks
from schedsearch.training.choice.bench import Bench
from schedsearch.training.choice.probe import choose_trainer
from schedsearch.training.choice.trainer import Trainer
from schedsearch.training.choice.way import EngineWish, Way
from schedsearch.training.curve import Evaluation
from schedsearch.training.engines import find_engine
from schedsearch.training.fused import compiled as compiled_module
from schedsearch.training.fused.compiled import CompiledStep
from schedsearch.training.fused.flat_model import Template
from schedsearch.training.fused.prepared import PreparedStack
from schedsearch.training.optimizers import OptimizerSpec
from schedsearch.training.recipe import Job
from schedsearch.training.reference import train

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
@pytest.mark.parametrize(
    "optimizer",
    [SGD, pytest.param(OptimizerSpec("NAdam", {}), marks=pytest.mark.soak)],
    ids=lambda o: o.name,
)
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
    """Three blocks of two, one job of which diverges and one is stopped: one function for all."""
    task = load_task("digits", model="cnn")
    rates = (0.01, 0.03, 1e6, 0.02, 0.015)
    schedules = [Schedule("CosineAnnealingLR", rate) for rate in rates]
    recipe = recipe_of(task)
    jobs = jobs_of(recipe, schedules, 60)

    def stop(job: Job, row: Evaluation) -> bool:
        return job is jobs[3] and row.step >= 30

    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    way = Way("fused", stack=8, block=2, compiled=True, channels_last=True)
    got = Trainer(way, recipe).train(jobs, on_eval=stop)
    want = train(recipe, jobs, on_eval=stop)
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
    monkeypatch.setattr(blocks, "_MOST_COMPILED", 2)
    recipe, wish = recipe_of(digits), EngineWish("fused", threads=1)
    before = graphs()
    trainer = choose_trainer(recipe, wish, waves=[(4, 1)], steps=10**8)
    long = trainer.way
    assert (long.kind, long.compiled, long.stack) == ("fused", True, 4)
    assert long.block in (2, 4)
    probed = graphs()
    assert probed == before + 2
    schedules = [Schedule("StepLR", rate) for rate in (0.03, 0.02, 0.01)]
    jobs = jobs_of(recipe, schedules, 60)
    got = trainer.train(jobs)
    assert graphs() == probed
    assert_same_curves(got, train(recipe, jobs))

    for steps, compiles in ((10**8, False), (10**4, True)):
        other = choose_trainer(recipe, wish, waves=[(4, 1)], steps=steps, compiles=compiles)
        assert not other.way.compiled
    assert graphs() == probed


@needs_a_compiler
def test_a_step_with_no_state_is_compiled_too(digits: Task) -> None:
    """That of SGD without momentum."""
    before = graphs()
    assert CompiledStep(Template(recipe_of(digits, OptimizerSpec("SGD", {}))), 2).differs() is None
    assert graphs() == before + 1


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
    monkeypatch.setattr("schedsearch.training.fused.flat_model.as_products", wrong)
    problem = CompiledStep(Template(recipe_of(task)), 2).differs()
    assert problem is not None
    assert "differ by" in problem


@needs_a_compiler
def test_a_compiler_that_must_not_be_trusted_is_asked_what_it_can_do(
    digits: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    def options(*, trusting: bool) -> dict[str, Any]:
        known = cpu_compile_options(trusting=trusting)
        return known | ({"cpp.no_such_option": True} if trusting else {})

    monkeypatch.setattr(compiled_module, "cpu_compile_options", options)
    lanes, problem = compiled_module.compiled_lanes(recipe_of(digits), 2, 1)
    assert (len(lanes), problem) == (1, None)


def test_a_compiler_that_fails_is_one_line(digits: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **settings: object) -> object:
        raise RuntimeError("No working C++ compiler\nfound here")

    monkeypatch.setattr(compiled_module.CompiledStep, "differs", fail)
    bench = Bench(
        recipe_of(digits),
        lambda way, recipe: find_engine(way.kind).prepare(way, recipe),
        base="reference",
        seconds=0.01,
        waves=[(4, 1)],
    )
    problem = blocks.add_compiled(bench, Way("fused", stack=4, block=4, compiled=True))
    assert problem == "torch.compile failed: No working C++ compiler found here"


@needs_a_compiler
def test_a_compiled_step_carries_buffers_groups_and_averages() -> None:
    """With clipping and two batches a step; two blocks, of which one is dropped, share the code."""
    settings: dict[str, Any] = {"clip_norm": 0.5, "accumulate": 2, "ema": 0.9}
    task = dataclasses.replace(task_of(MODELS["convolutions with batch norm"]), groups=no_decay)
    recipe = dataclasses.replace(recipe_of(task, evals=EVALS), **settings)
    rates = (0.05, 1.0, 0.02, 0.03)
    jobs = jobs_of(recipe, [Schedule("CosineAnnealingLR", rate) for rate in rates], STEPS)

    def stop(job: Job, row: Evaluation) -> bool:
        return job in (jobs[1], jobs[2])

    before = graphs()
    way = Way("fused", stack=4, block=2, compiled=True)
    prepared = PreparedStack(way, recipe)
    assert prepared.compile() is None
    got = Trainer(way, recipe, prepared).train(jobs, on_eval=stop)
    assert graphs() == before + 1
    for curve, want in zip(got, train(recipe, jobs, on_eval=stop), strict=True):
        for one, other in zip(curve.rows, want.rows, strict=True):
            assert one.train_loss == pytest.approx(other.train_loss, rel=1e-5)
            assert one.values == pytest.approx(other.values, rel=1e-5)
