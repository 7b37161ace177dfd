"""The reference engine with every optimizer, a task of the user's own, and on a GPU."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from engine_runs import COSINE, PLATEAU, STEP, STEPS, curves_of, rows
from hand_loop import RATE, assert_same, by_hand, digits
from torch.optim import SGD
from torch.optim.lr_scheduler import StepLR
from torch.utils._python_dispatch import TorchDispatchMode
from user_parts import noisy_net

from schedsearch import OptimizerSpec, Schedule, Warmup, load_task
from schedsearch.errors import ConfigError
from schedsearch.training.optimizers import optimizer_names


@pytest.mark.parametrize("name", [n for n in optimizer_names() if n != "Muon"])
def test_every_optimizer_of_torch_trains(name: str) -> None:
    """Muon is left out: it takes matrices only, and refuses a model with biases (see below)."""
    (curve,) = curves_of(
        [Schedule("StepLR", 0.005)], optimizer=OptimizerSpec(name, {}), total_steps=12, evals=3
    )
    hand = by_hand(
        digits(),
        lambda params: getattr(torch.optim, name)(params, lr=0.005),
        lambda o: StepLR(o, 4, 0.1),
        total_steps=12,
        evals=3,
    )
    assert_same(curve, hand)
    assert not curve.diverged
    assert curve.final.train_loss < curve.rows[0].train_loss


def test_an_optimizer_that_refuses_the_model() -> None:
    with pytest.raises(ConfigError, match=r"^optimizer Muon with \{\}: .*only supports 2D [^\n]*$"):
        curves_of([STEP], optimizer=OptimizerSpec("Muon", {}))


def test_a_rate_in_a_tensor_is_recorded_as_it_was_trained_with() -> None:
    spec = OptimizerSpec("user_parts:TensorRateSGD", {"momentum": 0.9})
    (curve,) = curves_of([COSINE], optimizer=spec)
    (plain,) = curves_of([COSINE])
    assert [row.lr for row in curve.rows] == [row.lr for row in plain.rows]


def test_a_task_of_the_users_own() -> None:
    task = load_task("user_parts:BLOBS", batch_size=8)
    assert (task.model_name, task.steps_per_epoch) == ("linear", 7)
    (curve,) = curves_of([STEP], task)
    hand = by_hand(
        task,
        lambda params: SGD(params, lr=RATE, momentum=0.9),
        lambda o: StepLR(o, 12, 0.1),
        total_steps=STEPS,
    )
    assert_same(curve, hand)
    assert task.target is not None
    assert curve.steps_to(*task.target, sign=-1.0) is not None


# ---- speed: the host waits for the device at evaluations only


class CountedReads(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's hints lack it
    """Count the reads of a tensor's value, each of which would wait for a GPU."""

    reads = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        names = ("_local_scalar_dense", "nonzero", "equal", "is_nonzero", "masked_select")
        self.reads += func.overloadpacket.__name__ in names
        return func(*args, **(kwargs or {}))


def reads(schedule: Schedule, total_steps: int, evals: int) -> int:
    mode = CountedReads()  # type: ignore[no-untyped-call]
    with mode:
        curves_of([schedule], total_steps=total_steps, evals=evals)
    return mode.reads


@pytest.mark.parametrize(
    "schedule",
    [COSINE, PLATEAU, Schedule("StepLR", RATE, warmup=Warmup(0.2))],
    ids=["cosine", "plateau", "warm-up"],
)
def test_no_value_is_read_between_evaluations(schedule: Schedule) -> None:
    assert reads(schedule, 60, 2) == reads(schedule, 10, 2) > 2
    assert reads(schedule, 60, 4) == reads(schedule, 10, 4) > reads(schedule, 10, 2)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_trains_as_the_cpu_does() -> None:
    before = torch.cuda.get_rng_state()
    schedules = [COSINE, PLATEAU]
    there = curves_of(schedules, load_task("digits", device="cuda"))
    here = curves_of(schedules)
    assert torch.equal(torch.cuda.get_rng_state(), before)
    for one, other in zip(there, here, strict=True):
        assert one.initial_loss == pytest.approx(other.initial_loss, rel=1e-4)
        losses = [row.val_loss for row in other.rows]
        assert [row.val_loss for row in one.rows] == pytest.approx(losses, rel=0.02)
    assert [row.lr for row in there[0].rows] == [row.lr for row in here[0].rows]
    dropout = replace(load_task("digits", device="cuda"), make_model=noisy_net)
    first = rows(curves_of([STEP], dropout))
    torch.cuda.manual_seed_all(5)
    assert rows(curves_of([STEP], dropout)) == first
