"""What somebody who knows only torch writes to train one model; the engine is measured against it.

Of schedsearch it takes the task: its data, the weights and the order of the rows that a seed means.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import pytest
import torch
from splits import split_of
from torch import nn
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from schedsearch.horizon import evaluation_steps
from schedsearch.tasks.registry import load_task
from schedsearch.tasks.split import Split
from schedsearch.tasks.task import Task
from schedsearch.training.curve import Curve, Evaluation

STEPS = 90
EVALS = 9
SEED = 7
RATE = 0.0625  # a power of two: a product with it is exact

# The engine adds losses up in float32, ten of them between two evaluations: by hand they are
# Python's floats. Ten roundings of 6e-8 stay below this. Rates are compared bit for bit.
TOLERANCE = 1e-6

Optimizing = Callable[[list[nn.Parameter]], Optimizer]
PerStep = Callable[[Optimizer], LRScheduler]
PerEvaluation = Callable[[Optimizer], ReduceLROnPlateau]


class Row(NamedTuple):
    """What was seen at an evaluation."""

    step: int
    lr: float
    train_loss: float
    val_loss: float
    val_accuracy: float

    @property
    def evaluation(self) -> Evaluation:
        metrics = {"accuracy": self.val_accuracy}
        return Evaluation(self.step, self.lr, self.train_loss, self.val_loss, 0.0, metrics)


@cache
def digits(model: str = "mlp") -> Task:
    return load_task("digits", model=model)


def sgd(params: list[nn.Parameter]) -> Optimizer:
    return SGD(params, lr=RATE, momentum=0.9)


def by_hand(
    task: Task,
    optimizing: Optimizing = sgd,
    scheduling: PerStep | None = None,
    plateau: PerEvaluation | None = None,
    *,
    total_steps: int = STEPS,
    evals: int = EVALS,
    steps_per_schedule_step: int = 1,
    seed: int = SEED,
) -> list[Row]:
    """Train, with up to two schedulers on one optimizer: one per step, one per evaluation."""
    model = task.model(seed)
    optimizer = optimizing(list(model.parameters()))
    scheduler = scheduling(optimizer) if scheduling else None
    reduce = plateau(optimizer) if plateau else None
    assert isinstance(task.train, Split)
    due, rows, losses = evaluation_steps(total_steps, evals), list[Row](), list[float]()
    for step, batch in enumerate(task.batch_indices(seed, total_steps), start=1):
        lr = float(optimizer.param_groups[0]["lr"])
        optimizer.zero_grad()
        inputs, targets = split_of(task.train).inputs[batch], split_of(task.train).targets[batch]
        loss = task.loss(model(inputs), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
        if scheduler and step % steps_per_schedule_step == 0:
            scheduler.step()
        if step in due:
            val_loss, accuracy = validate(model, task)
            rows.append(Row(step, lr, sum(losses) / len(losses), val_loss, accuracy))
            losses.clear()
            if reduce:
                reduce.step(val_loss if reduce.mode == "min" else accuracy)
    return rows


@torch.no_grad()
def validate(model: nn.Module, task: Task) -> tuple[float, float]:
    """Return loss and accuracy on the whole validation split in one pass."""
    assert isinstance(task.validation, Split)
    model.eval()
    outputs, targets = model(split_of(task.validation).inputs), split_of(task.validation).targets
    model.train()
    right = (outputs.argmax(1) == targets).sum().item()
    return task.loss(outputs, targets).item(), right / len(targets)


def recorded(curve: Curve) -> list[Row]:
    """Return the rows of a curve without its clock."""
    return [
        Row(r.step, r.lr, r.train_loss, r.val_loss, r.value("val_accuracy")) for r in curve.rows
    ]


def assert_same(curve: Curve, hand: list[Row]) -> None:
    """Rates bit for bit, losses and accuracies up to the rounding of their sums."""
    rows = recorded(curve)
    assert [(row.step, row.lr) for row in rows] == [(row.step, row.lr) for row in hand]
    for name in ("train_loss", "val_loss", "val_accuracy"):
        expected = [getattr(row, name) for row in hand]
        assert [getattr(row, name) for row in rows] == pytest.approx(expected, rel=TOLERANCE), name
