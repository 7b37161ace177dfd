"""Models as people bring them, and the loop that somebody writes who knows only torch."""

import dataclasses
import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import torch
from fused_loops import in_double
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer
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


class Recurrent(nn.Module):
    """Reads the four rows of an image; torch has no GRU of many weights without gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.GRU(4, 6, batch_first=True), nn.Linear(6, 10)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.cell(x.squeeze(1))[0][:, -1])
        return out


MODELS: dict[str, Callable[[], nn.Module]] = {
    "batch norm": batch_norm,
    "batch norm of the batch alone": lambda: batch_norm(track_running_stats=False),
    "convolutions with batch norm": convolution,
    "a buffer that is replaced": OwnBuffer,
    "a frozen layer": frozen,
    "tied layers": tied,
    "a GRU": Recurrent,
}


@cache
def tiny() -> Task:
    return in_double(load_task("digits"))


def task_of(make: Callable[[], nn.Module]) -> Task:
    return dataclasses.replace(tiny(), make_model=make)


def no_decay(model: nn.Module) -> list[dict[str, Any]]:
    """Return the groups of everybody: biases and norms without decay; here at half the rate."""
    vectors = [p for p in model.parameters() if p.dim() == 1]
    return [
        {"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": 0.05},
        {"params": vectors, "weight_decay": 0.0, "lr_factor": 0.5},
    ]


class TwoInputs(nn.Module):
    """Takes an image in two halves, and gives its outputs under a name, beside others."""

    def __init__(self) -> None:
        super().__init__()
        self.upper, self.lower = nn.Linear(8, 10).double(), nn.Linear(8, 10).double()

    def forward(self, upper: Tensor, lower: Tensor) -> dict[str, Tensor]:
        logits = self.upper(upper) + self.lower(lower)
        return {"logits": logits, "entropy": logits.softmax(1).square().sum(1)}


CLASS_WEIGHTS = torch.linspace(0.2, 3.0, 10, dtype=torch.float64)


def weighted(outputs: dict[str, Tensor], targets: dict[str, Tensor]) -> Tensor:
    """Return no mean over rows: classes have weights, and some rows don't count."""
    loss = cross_entropy(outputs["logits"], targets["digit"], CLASS_WEIGHTS, ignore_index=-100)
    return loss + 0.01 * outputs["entropy"].sum()


def with_two_inputs() -> Task:
    def halves(split: object) -> Split:
        assert isinstance(split, Split)
        images, targets = split.map(torch.clone).take(slice(None))
        flat = images.flatten(1)
        targets[::7] = -100
        return Split({"upper": flat[:, :8], "lower": flat[:, 8:]}, {"digit": targets})

    train, validation = halves(tiny().train), halves(tiny().validation)
    return dataclasses.replace(
        tiny(),
        train=train,
        validation=validation,
        make_model=TwoInputs,
        loss=weighted,
        train_loss=weighted,
        eval_rows=50,
    )


class Seen(NamedTuple):
    """What the loop saw at an evaluation; NaN where no weights are averaged."""

    step: int
    train_loss: float
    val_loss: float
    ema_val_loss: float = math.nan


Optimizing = Callable[[nn.Module, float], Optimizer]


def sgd(model: nn.Module, rate: float) -> Optimizer:
    return torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9, weight_decay=1e-3)


def adamw_in_groups(model: nn.Module, rate: float) -> Optimizer:
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    return torch.optim.AdamW(
        [
            {"params": matrices, "lr": rate, "weight_decay": 0.05},
            {"params": vectors, "lr": rate / 2, "weight_decay": 0.0},
        ]
    )


def by_hand(
    task: Task,
    optimizing: Optimizing,
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
    batches = task.batches(seed, STEPS * accumulate)
    seen, losses = list[Seen](), list[float]()
    for step in range(1, STEPS + 1):
        optimizer.zero_grad()
        for _ in range(accumulate):
            inputs, targets = next(batches)
            loss = task.loss(forward(model, inputs), targets)
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
            averaged = validation_loss(average.module, task) if average else math.nan
            seen.append(Seen(step, mean, validation_loss(model, task), averaged))
            losses.clear()
    return seen


def forward(model: nn.Module, inputs: Any) -> Any:
    return model(**inputs) if isinstance(inputs, dict) else model(inputs)


@torch.no_grad()
def validation_loss(model: nn.Module, task: Task) -> float:
    """Return the loss on the whole validation split in one pass."""
    assert isinstance(task.validation, Split)
    model.eval()
    loss = task.loss(forward(model, task.validation.inputs), task.validation.targets)
    model.train()
    return float(loss)
