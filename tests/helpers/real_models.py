"""Models as people bring them, and the loop that somebody writes who knows only torch."""

import dataclasses
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import torch
from fused_loops import in_double
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from schedsearch.horizon import evaluation_steps
from schedsearch.tasks.registry import load_task
from schedsearch.tasks.split import Split
from schedsearch.tasks.task import Task

STEPS, EVALS = 24, 4


def batch_norm(**settings: Any) -> nn.Module:
    """Return a perceptron; no bias before the norm: its gradient would be nothing but rounding."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(16, 12, bias=False),
        nn.BatchNorm1d(12, **settings),
        nn.ReLU(),
        nn.Linear(12, 10),
    ).double()


class OwnBuffer(nn.Module):
    """Centres its features by a running mean, which is a new tensor after each step."""

    running: Tensor
    table: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(16, 12), nn.Linear(12, 10)
        self.register_buffer("running", torch.zeros(12))
        self.register_buffer("table", torch.randn(10))  # of each seed its own
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x.flatten(1)).tanh()
        if self.training:
            self.running = 0.5 * self.running + 0.5 * x.mean(0).detach()
        out: Tensor = self.head(x - self.running) * self.table
        return out


def frozen() -> nn.Module:
    """Return a model whose first layer, of each seed its own, and last bias are not trained."""
    head = nn.Linear(12, 10)
    nn.init.zeros_(head.bias).requires_grad_(False)
    first = nn.Linear(16, 12).requires_grad_(False)
    return nn.Sequential(nn.Flatten(), first, nn.Tanh(), head).double()


def tied() -> nn.Module:
    layer = nn.Linear(16, 16)
    model = nn.Sequential(nn.Flatten(), layer, nn.Tanh(), layer, nn.Linear(16, 10))
    return model.double()


def convolution() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16, 10),
    ).double()


MODELS: dict[str, Callable[[], nn.Module]] = {
    "batch norm": batch_norm,
    "batch norm of the batch alone": lambda: batch_norm(track_running_stats=False),
    "convolutions with batch norm": convolution,
    "a buffer that is replaced": OwnBuffer,
    "a frozen layer": frozen,
    "tied layers": tied,
}


@cache
def tiny() -> Task:
    return in_double(load_task("digits"))


def task_of(make: Callable[[], nn.Module]) -> Task:
    return dataclasses.replace(tiny(), make_model=make)


class Seen(NamedTuple):
    """What the loop saw at an evaluation; of the averaged weights, where there are any."""

    step: int
    train_loss: float
    val_loss: float
    ema_val_loss: float | None


def by_hand(
    task: Task,
    optimizing: Callable[[nn.Module, float], torch.optim.Optimizer],
    rate: float,
    seed: int,
    *,
    clip_norm: float | None = None,
    accumulate: int = 1,
    ema: float | None = None,
) -> list[Seen]:
    """Train with a cosine schedule."""
    model = task.model(seed)
    optimizer = optimizing(model, rate)
    scheduler = CosineAnnealingLR(optimizer, STEPS)
    averaging: Any = get_ema_multi_avg_fn
    average = AveragedModel(model, multi_avg_fn=averaging(ema)) if ema else None
    assert isinstance(task.train, Split)
    inputs, targets = task.train.take(slice(None))
    batches = task.batch_indices(seed, STEPS * accumulate)
    seen, losses = list[Seen](), list[float]()
    for step in range(1, STEPS + 1):
        optimizer.zero_grad()
        for _ in range(accumulate):
            rows = next(batches)
            loss = task.loss(model(inputs[rows]), targets[rows])
            (loss / accumulate).backward()  # type: ignore[no-untyped-call]
            losses.append(loss.item())
        if clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        optimizer.step()
        scheduler.step()
        if average:
            average.update_parameters(model)
        if step in evaluation_steps(STEPS, EVALS):
            mean = sum(losses) / len(losses)
            averaged = validation_loss(average.module, task) if average else None
            seen.append(Seen(step, mean, validation_loss(model, task), averaged))
            losses.clear()
    return seen


@torch.no_grad()
def validation_loss(model: nn.Module, task: Task) -> float:
    """Return the loss on the whole validation split in one pass."""
    assert isinstance(task.validation, Split)
    model.eval()
    loss = task.loss(model(task.validation.inputs), task.validation.targets)
    model.train()
    return float(loss)
