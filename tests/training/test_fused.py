"""The fused engine equals plain torch loops, one for each run; and planted bugs are seen.

Tolerances: in float64 1e-10 relative to the largest weight, far above 300 steps of rounding (1e-16
each) and far below any wrong rate; in float32 1e-4. Rates are compared bit for bit. The runs are
stable ones: at the edge of stability a rounding difference grows without bound in any engine.
"""

import dataclasses
from collections.abc import Callable

import pytest
import torch
from fused_loops import (
    OPTIMIZERS,
    STEPS,
    all_schedules,
    assert_equal,
    assert_same_curves,
    common,
    in_double,
    peak,
)
from torch import Tensor, nn

from schedsearch.schedules import Schedule, Warmup
from schedsearch.tasks import Task, load_task
from schedsearch.training import OptimizerSpec, fit, train
from schedsearch.training.fused import train_fused
from schedsearch.training.stack import Block
from schedsearch.training.template import FUSABLE_OPTIMIZERS, why_not_fused


@pytest.fixture(scope="module")
def digits() -> Task:
    return load_task("digits")


@pytest.fixture(scope="module")
def double(digits: Task) -> Task:
    return in_double(digits)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: f"{o.name}-{'-'.join(o.args)}")
def test_every_family_equals_its_plain_loop_in_float64(
    double: Task, optimizer: OptimizerSpec
) -> None:
    schedules = all_schedules(peak(optimizer))
    if optimizer is not OPTIMIZERS[0]:
        schedules = schedules[:: len(schedules) // 8]
    assert_equal(double, schedules, optimizer)


def test_every_fusable_optimizer_is_tested() -> None:
    assert {o.name for o in OPTIMIZERS} == set(FUSABLE_OPTIMIZERS)


@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_equal_in_float32(model: str) -> None:
    task = load_task("digits", model=model)
    schedules = [Schedule("StepLR", 0.02), Schedule("CosineAnnealingLR", 0.01, {}, Warmup(0.1))]
    assert_equal(task, schedules, OPTIMIZERS[0], steps=STEPS if model == "mlp" else 60)


def shared_momentum(stack: Block, rates: Tensor) -> Tensor:
    buffer = stack.optimizer.state[stack.params].get("momentum_buffer")
    if buffer is not None:
        buffer.copy_(buffer.mean(dim=0, keepdim=True).expand_as(buffer))
    return rates


PLANTED: dict[str, tuple[Callable[[Block, Tensor], Tensor], int]] = {
    "the rates come one step late": (lambda stack, rates: rates, 1),
    "two runs are swapped": (lambda stack, rates: rates.flip(0), 0),
    "the momentum is shared": (shared_momentum, 0),
    "the update is scaled twice": (lambda stack, rates: rates * rates, 0),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_planted_bugs_are_seen(double: Task, bug: str) -> None:
    plant, shift = PLANTED[bug]
    schedules = [Schedule("StepLR", 0.03), Schedule("CosineAnnealingLR", 0.02)]
    optimizer = OPTIMIZERS[0]
    assert_equal(double, schedules, optimizer, steps=150)
    with pytest.raises(AssertionError):
        assert_equal(double, schedules, optimizer, steps=150, plant=plant, shift=shift)


def test_curves_equal_the_reference_engines_whatever_the_stack(digits: Task) -> None:
    schedules = [s for s in all_schedules(0.03) if s.warmup is None]
    want = train(digits, schedules, **common())  # type: ignore[arg-type]
    for stack in (1, 4, 64):
        got = train_fused(digits, schedules, stack=stack, **common())  # type: ignore[arg-type]
        assert_same_curves(got, want)


def test_different_seeds_and_epochs(digits: Task) -> None:
    schedules = [
        Schedule("CosineAnnealingLR", 0.03, {}, step_unit="epoch"),
        Schedule("ReduceLROnPlateau", 0.03, {"patience_frac": 0.1}),
        Schedule("StepLR", 0.03),
    ]
    settings = common(seed=[5, 6, 5])
    want = train(digits, schedules, **settings)  # type: ignore[arg-type]
    got = train_fused(digits, schedules, stack=3, **settings)  # type: ignore[arg-type]
    assert_same_curves(got, want)
    assert got[0].rows[0].train_loss != got[1].rows[0].train_loss


def test_a_run_that_ends_leaves_the_others_as_they_were(double: Task) -> None:
    good = [Schedule("StepLR", 0.03), Schedule("ExponentialLR", 0.02)]
    both = [good[0], Schedule("Constant", 1e6), good[1], Schedule("LinearLR", 0.02)]

    def stop_the_last(index: int, row: object) -> bool:
        return index == 3 and getattr(row, "step", 0) >= 36

    ended: list[int] = []
    got = train_fused(
        double,
        both,
        on_eval=stop_the_last,
        on_end=lambda index, curve: ended.append(index),
        **common(),  # type: ignore[arg-type]
    )
    want = train_fused(double, good, **common())  # type: ignore[arg-type]
    assert [c.diverged for c in got] == [False, True, False, False]
    assert [c.stopped for c in got] == [False, False, False, True]
    assert len(got[3].rows) == 3
    assert ended == [1, 3, 0, 2]
    assert_same_curves([got[0], got[2]], want, rel=1e-12)


class Noisy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Dropout(0.5))
        self.head = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.layers(x))
        return out


def test_dropout_is_each_runs_own_and_seeded(digits: Task) -> None:
    task = dataclasses.replace(digits, make_model=Noisy)
    assert why_not_fused(task, OPTIMIZERS[0]) is None
    twins = [Schedule("Constant", 0.01), Schedule("Constant", 0.01), Schedule("Constant", 1e6)]
    torch.manual_seed(1)
    ended: list[int] = []
    first = train_fused(
        task,
        twins,
        on_end=lambda index, curve: ended.append(index),
        **common(),  # type: ignore[arg-type]
    )
    assert ended == [2, 0, 1]
    assert first[2].diverged
    torch.manual_seed(2)
    again = train_fused(task, twins, **common())  # type: ignore[arg-type]
    assert [c.final.val_loss for c in first[:2]] == [c.final.val_loss for c in again[:2]]
    assert first[0].final.val_loss != first[1].final.val_loss
    alone = [fit(task, twins[0], **common(seed=s))[1].final.val_loss for s in range(4)]  # type: ignore[arg-type]
    fused = train_fused(task, [twins[0]] * 4, **common(seed=[0, 1, 2, 3]))  # type: ignore[arg-type]
    spread = max(alone) - min(alone)
    assert abs(sum(c.final.val_loss for c in fused) / 4 - sum(alone) / 4) < max(spread, 0.1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_equal_on_cuda() -> None:
    task = in_double(load_task("digits")).to(torch.device("cuda"))
    schedules = [Schedule("StepLR", 0.03), Schedule("ReduceLROnPlateau", 0.03)]
    want = train(task, schedules, **common())  # type: ignore[arg-type]
    got = train_fused(task, schedules, **common())  # type: ignore[arg-type]
    assert_same_curves(got, want, rel=1e-8)
