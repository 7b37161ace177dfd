"""A task and optimizers of the user's own: `"user_parts:BLOBS"` in a study file."""

from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim import SGD

from schedsearch import TaskSource
from schedsearch.tasks.split import Split
from schedsearch.tasks.task import Data


def _load(folder: Path | None) -> Data:
    generator = torch.Generator().manual_seed(1)
    targets = torch.arange(120) % 3
    centres = torch.tensor([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]])
    inputs = centres[targets] + torch.randn(120, 2, generator=generator)
    return Data(*(Split(inputs[i], targets[i]) for i in torch.arange(120).tensor_split([60, 90])))


BLOBS = TaskSource(
    name="user_parts:BLOBS",
    about="three clouds of points",
    models={"linear": lambda: nn.Linear(2, 3)},
    load=_load,
    target=("val_accuracy", 0.8),
    loss=partial(cross_entropy, label_smoothing=0.1),
)


class TensorRateSGD(SGD):
    """SGD that keeps its rate in a tensor, as torch allows: schedulers then move it in place."""

    def __init__(self, params: Any, lr: float, **args: Any) -> None:
        super().__init__(params, lr=torch.tensor(lr, dtype=torch.float64), **args)


def noisy_net() -> nn.Module:
    """Return a net that draws while it trains, and that computes otherwise when it is evaluated."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 32),
        nn.BatchNorm1d(32),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(32, 10),
    )
