"""Tasks that are right, though they look odd; and tasks that train, but perhaps not as is meant."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from bad_parts import rows, streamed
from bad_tasks import (
    CLASSES,
    GOOD,
    WIDTH,
    examples,
    good_data,
    models,
    of_examples,
    with_value,
)
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader, Dataset

from schedsearch import TaskSource
from schedsearch.tasks.metrics import Metric
from schedsearch.tasks.split import Split
from schedsearch.tasks.task import Data


class Odd(nn.Module):
    """A linear model with something odd about it."""

    def __init__(self, *, scale: float = 1.0, unused: bool = False, given: bool = False) -> None:
        super().__init__()
        self.linear, self.scale = nn.Linear(WIDTH, CLASSES), scale
        if unused:
            self.old_head, self.older = nn.Linear(WIDTH, CLASSES), nn.Linear(WIDTH, CLASSES)
        if given:
            with torch.no_grad():
                self.linear.weight.copy_(20 * torch.eye(CLASSES, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.linear(x) * self.scale
        return outputs


class OfManyRows(nn.Linear):
    """A model that gives something else for many rows at once, as some kernels do."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) * (2 if len(input) > 100 else 1)


def of(make: Callable[[], nn.Module]) -> TaskSource:
    """Return the good task with another model."""
    return replace(GOOD, models={"linear": make})


def with_data(change: Callable[[Split, Split], tuple[Split, Split]]) -> TaskSource:
    """Return the good task with other training and validation data."""

    def load(folder: Any) -> Data:
        data = good_data()
        assert isinstance(data.train, Split)
        assert isinstance(data.validation, Split)
        return Data(*change(data.train, data.validation))

    return replace(GOOD, load=load)


def batch_norm() -> nn.Module:
    norm = nn.BatchNorm1d(WIDTH, track_running_stats=False)
    return nn.Sequential(norm, nn.Linear(WIDTH, CLASSES))


def noisy(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs.argmax(dim=1) == targets).float().mean() + 0.1 * torch.rand(())


def too_large(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs.argmax(dim=1) == targets).sum() + 2


def _nan_at_the_end(train: Split, validation: Split) -> tuple[Split, Split]:
    inputs = validation.inputs.clone()
    inputs[-2:, 1] = float("nan")
    return train, Split(inputs, validation.targets)


def _rows_twice(train: Split, validation: Split) -> tuple[Split, Split]:
    both = Split(
        torch.cat([validation.inputs, train.inputs[:5]]),
        torch.cat([validation.targets, train.targets[:5]]),
    )
    return train, both


def _without_class_2(train: Split, validation: Split) -> tuple[Split, Split]:
    assert isinstance(train.targets, Tensor)
    return Split(train.inputs, train.targets.clamp(max=1)), validation


SCALED = of(lambda: Odd(scale=100.0))
GIVEN = of(lambda: Odd(given=True))
UNUSED = of(lambda: Odd(unused=True))
DEAF = of(lambda: Odd(scale=1e-9))
BATCH_NORM = of(batch_norm)
OF_MANY_ROWS = replace(
    of(lambda: OfManyRows(WIDTH, CLASSES)),
    load=of_examples(lambda x, y: (x.repeat(8, 1), y.repeat(8))),
)
NAN_LATER = with_data(_nan_at_the_end)
ROWS_TWICE = with_data(_rows_twice)
CLASS_MISSING = with_data(_without_class_2)
ONE_CLASS = with_data(
    lambda train, validation: (Split(train.inputs, train.targets * 0), validation)
)
NOISY = replace(GOOD, metrics=[Metric("noisy", "maximize", noisy)])
TOO_LARGE = replace(GOOD, metrics=[Metric("hits", "maximize", too_large, worst=0.0, best=1.0)])


# --- tasks that are right, though they look odd --------------------------------------------------


class _Noisy(Dataset[Any]):
    """A data set that augments its examples, from torch's global random numbers."""

    def __len__(self) -> int:
        return 64

    def __getitem__(self, row: int) -> Any:
        inputs, targets = examples()
        return inputs[row] + 0.1 * torch.randn(WIDTH), targets[row]


def _shuffled(dataset: Dataset[Any]) -> Callable[[int], DataLoader[Any]]:
    def loader(seed: int) -> DataLoader[Any]:
        generator = torch.Generator().manual_seed(seed)
        return DataLoader(dataset, batch_size=16, shuffle=True, generator=generator)

    return loader


def _strict(outputs: Tensor, targets: Tensor) -> float:
    """Refuse what is not finite, as metrics of other libraries do; and one class alone."""
    if not torch.isfinite(outputs).all():
        raise ValueError("Input contains NaN.")
    return float((outputs.argmax(dim=1) == targets).float().mean())


AUGMENTED = replace(GOOD, name="odd_tasks:AUGMENTED", load=streamed(_shuffled(_Noisy())))
IN_ORDER = replace(
    GOOD,
    name="odd_tasks:IN_ORDER",
    load=streamed(lambda seed: DataLoader(rows(), batch_size=16)),
)
STRICT_METRIC = replace(
    GOOD, name="odd_tasks:STRICT_METRIC", metrics=[Metric("strict", "maximize", _strict)]
)
PADDED = replace(
    GOOD, name="odd_tasks:PADDED", load=of_examples(lambda x, y: (x, with_value(y, 5, -100)))
)
REGRESSION = replace(
    GOOD,
    name="odd_tasks:REGRESSION",
    models=models(lambda: nn.Linear(WIDTH, 1)),
    load=of_examples(lambda x, y: (x, x[:, :1] * 2)),
    loss=mse_loss,
    metrics=["r2"],
)
PLAIN = ("AUGMENTED", "IN_ORDER", "STRICT_METRIC", "PADDED", "REGRESSION")
