"""Task: what is trained. A model factory, data as tensors on a device, a loss and a metric."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from schedsearch.compat import seed_cpu
from schedsearch.seeds import derive_seed

Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
_GPU_ROWS = 8192
_CPU_ROWS = (128, 500)  # fewest and most rows of a forward pass that evaluates,
_CPU_NUMBERS = 100_000  # so that its inputs are about this many numbers, which fit into a cache


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the random numbers of the CPU and of one device; restore their state afterwards."""
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        seed_cpu(seed)  # torch.manual_seed would touch all devices
        for one in cuda:
            with torch.cuda.device(one):
                torch.cuda.manual_seed(seed)
        yield


@dataclass(frozen=True, eq=False)
class Split:
    """Inputs `[N, ...]` and integer targets `[N]`, both on one device."""

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    def to(self, device: torch.device) -> "Split":
        """Return the split on a device."""
        return Split(self.inputs.to(device), self.targets.to(device))


@dataclass(frozen=True, eq=False)
class Data:
    """The three fixed splits of a data set."""

    train: Split
    validation: Split
    test: Split


@dataclass(frozen=True)
class TaskSource:
    """An entry of TASKS: where the data of a task come from, and the models that the task offers.

    Args:
        name: the task's name; for a task of your own, `"package.module:ATTRIBUTE"`.
        about: one sentence.
        models: name -> factory of an untrained model; the first is the default.
        load: reads the data, given the folder that holds them (None: the usual places).
        target_accuracy: the validation accuracy whose first step is recorded.
        loss: mean loss of outputs `[B, C]` and targets `[B]`.
    """

    name: str
    about: str
    models: Mapping[str, Callable[[], nn.Module]]
    load: Callable[[Path | None], Data]
    target_accuracy: float
    loss: Loss = cross_entropy


@dataclass(frozen=True, eq=False)
class Task:
    """What a search trains. A task holds no test split, so no search can read that split.

    Args:
        name: the task's name.
        model_name: the name of the model.
        make_model: returns an untrained model.
        train: the training split, on `device`.
        validation: the validation split, on `device`.
        loss: mean loss of outputs and targets.
        batch_size: rows of a batch; the last rows of an epoch that fill no batch are left out.
        target_accuracy: the validation accuracy whose first step is recorded.
        device: where data and models live.
    """

    name: str
    model_name: str
    make_model: Callable[[], nn.Module]
    train: Split
    validation: Split
    loss: Loss
    batch_size: int
    target_accuracy: float
    device: torch.device

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in one pass over the training split."""
        return len(self.train) // self.batch_size

    def to(self, device: torch.device) -> "Task":
        """Return the task on another device."""
        train, validation = self.train.to(device), self.validation.to(device)
        return replace(self, train=train, validation=validation, device=device)

    def channels_last(self) -> "Task":
        """Return the task with its images and models in torch's channels_last memory format."""

        def make() -> nn.Module:
            model = self.make_model()
            return model.to(memory_format=torch.channels_last)

        train, validation = _last(self.train), _last(self.validation)
        return replace(self, make_model=make, train=train, validation=validation)

    def model(self, seed: int) -> nn.Module:
        """Return a model whose weights depend on the seed alone, not on global random state."""
        with seeded(derive_seed(seed, "weights"), torch.device("cpu")):
            return self.make_model().to(self.device)

    def batch_indices(self, seed: int, total_steps: int) -> Iterator[Tensor]:
        """Yield the row numbers `[batch_size]` of each step's batch, on the device.

        Each epoch is a fresh permutation, which depends on the seed and the epoch's number alone.
        """
        rows, per_epoch = len(self.train), self.steps_per_epoch
        for first in range(0, total_steps, per_epoch):
            generator = torch.Generator().manual_seed(derive_seed(seed, "batches", first))
            order = torch.randperm(rows, generator=generator).to(self.device)
            for i in range(min(per_epoch, total_steps - first)):
                yield order[i * self.batch_size : (i + 1) * self.batch_size]


def _last(split: Split) -> Split:
    return Split(split.inputs.contiguous(memory_format=torch.channels_last), split.targets)


@torch.no_grad()
def evaluate(model: nn.Module, loss: Loss, split: Split) -> tuple[Tensor, Tensor]:
    """Return the mean loss and the accuracy of a model on a split, as tensors (no sync)."""
    was_training = model.training
    model.eval()
    losses, right = [], []
    rows = _GPU_ROWS
    if split.targets.device.type == "cpu":
        least, most = _CPU_ROWS
        rows = min(most, max(least, _CPU_NUMBERS // max(split.inputs[0].numel(), 1)))
    for i in range(0, len(split), rows):
        targets = split.targets[i : i + rows]
        outputs = model(split.inputs[i : i + rows])
        losses.append(loss(outputs, targets) * len(targets))
        right.append((outputs.argmax(dim=-1) == targets).sum())
    model.train(was_training)
    return torch.stack(losses).sum() / len(split), torch.stack(right).sum() / len(split)
