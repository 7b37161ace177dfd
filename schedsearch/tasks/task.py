"""Task: what is trained. A model factory, data, a loss, metrics."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.parameter import is_lazy
from torch.utils.data import Dataset

from schedsearch.compat import seed_cpu
from schedsearch.errors import ConfigError
from schedsearch.seeds import derive_seed
from schedsearch.tasks.metrics import Loss, Metric
from schedsearch.tasks.outputs import OutputFacts, output_facts
from schedsearch.tasks.split import Batch, Split, call
from schedsearch.tasks.stream import Stream, first_rows
from schedsearch.tasks.tree import map_tensors

Target: TypeAlias = tuple[str, float]
"""A value of an evaluation, such as ("val_accuracy", 0.96), that a training is to reach."""

Groups: TypeAlias = Callable[[nn.Module], Sequence[Mapping[str, Any]]]
Augment: TypeAlias = Callable[[Batch], Batch]
_SAMPLE, _OUTPUTS = 8, 32  # examples of a sample, and of a look at the outputs


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
class Data:
    """The splits of a data set.

    Args:
        train: what is trained on: a Split in memory, a map-style data set of torch, which is read
            while a model trains, or a Stream of DataLoaders.
        validation: what judges; of the same kinds.
        test: what is read once, after all else; None where there is none.
    """

    train: Split | Stream | Dataset[Any]
    validation: Split | Stream | Dataset[Any]
    test: Split | Stream | Dataset[Any] | None = None


@dataclass(frozen=True)
class TaskSource:
    """An entry of TASKS: where the data of a task come from, and the models that the task offers.

    Args:
        name: the task's name; for a task of your own, `"package.module:ATTRIBUTE"`.
        about: one sentence.
        models: name -> factory of an untrained model; the first is the default.
        load: reads the data, given the folder that holds them (None: the usual places).
        loss: the loss of outputs and targets, one number: what validation reports.
        train_loss: the loss that is trained, where it is another (label smoothing, say).
        metrics: what is reported beside the loss: names of METRICS, a Metric, a metric of
            torchmetrics. None: an accuracy where targets are classes, otherwise nothing.
        target: what a training is to reach, such as ("val_accuracy", 0.96): the report says after
            how many steps each schedule does.
        groups: returns the optimizer's parameter groups for a model: dictionaries of "params", of
            "lr_factor" (default 1.0), the ratio of their rates, and of other arguments of the
            optimizer, such as "weight_decay". The group with the highest factor has the schedule's
            rate. None: one group of all parameters that are trained.
        augment: changes each training batch, on the device; it draws from torch's global random
            numbers, which are seeded.
        eval_rows: examples of a forward pass that evaluates (default: by their size).
        loss_weight: by what the losses of two pieces of a split are averaged, a function of the
            outputs and targets of a piece; needed only where the outputs of the whole split do not
            fit into memory.
    """

    name: str
    about: str
    models: Mapping[str, Callable[[], nn.Module]]
    load: Callable[[Path | None], Data]
    loss: Loss = cross_entropy
    train_loss: Loss | None = None
    metrics: Sequence[object] | None = None
    target: Target | None = None
    groups: Groups | None = None
    augment: Augment | None = None
    eval_rows: int | None = None
    loss_weight: Callable[[Any, Any], Any] | None = None


@dataclass(frozen=True, eq=False)
class Task:
    """What a search trains. A task holds no test split, so no search can read that split.

    Args:
        name: the task's name.
        model_name: the name of the model.
        make_model: returns an untrained model.
        train: the training examples, on `device`.
        validation: the validation examples, on `device`.
        loss: the loss that validation reports.
        train_loss: the loss that is trained.
        metrics: what is reported beside the loss.
        target: what a training is to reach; None for nothing.
        batch_size: rows of a batch; the last rows of an epoch that fill no batch are left out.
        device: where data and models live.
        has_test: whether there is a test split.
        groups: returns the parameter groups of a model; None for one group of all.
        augment: changes each training batch; None for nothing.
        eval_rows: examples of a forward pass that evaluates; None: by their size.
        loss_weight: by what the losses of two pieces are averaged, where that is needed.
    """

    name: str
    model_name: str
    make_model: Callable[[], nn.Module]
    train: Split | Stream
    validation: Split | Stream
    loss: Loss
    train_loss: Loss
    metrics: tuple[Metric, ...]
    target: Target | None
    batch_size: int
    device: torch.device
    has_test: bool = True
    groups: Groups | None = None
    augment: Augment | None = None
    eval_rows: int | None = None
    loss_weight: Callable[[Any, Any], Any] | None = None

    @cached_property
    def steps_per_epoch(self) -> int:
        """Whole batches in one pass over the training examples."""
        if isinstance(self.train, Stream):
            return self.train.batches_per_epoch
        return len(self.train) // self.batch_size

    @cached_property
    def sample(self) -> Batch:
        """A few training examples, on the device, as they are before any augmentation."""
        if isinstance(self.train, Stream):
            return first_rows(self.train)
        return self.train.take(slice(0, min(_SAMPLE, self.batch_size)))

    @cached_property
    def outputs(self) -> OutputFacts:
        """What is known of the outputs of an untrained model."""
        if isinstance(self.validation, Stream):
            batch = first_rows(self.validation)
        else:
            batch = self.validation.take(slice(0, _OUTPUTS))
        return output_facts(self.model(0), batch)

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
        """Return a model whose weights depend on the seed alone, not on global random state.

        Lazy layers get their shapes from a forward pass of a few examples.
        """
        with seeded(derive_seed(seed, "weights"), torch.device("cpu")):
            model = self.make_model()
            if any(is_lazy(parameter) for parameter in model.parameters()):
                with torch.no_grad(), warnings.catch_warnings():
                    inputs = map_tensors(lambda tensor: tensor.cpu(), self.sample.inputs)
                    call(model.eval(), inputs)
                model.train()
            return model.to(self.device)

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Return the optimizer's parameter groups of a model, each with its "lr_factor".

        Raises:
            ConfigError: groups that leave out a parameter which is trained, or hold one twice.
        """
        trained = [p for p in model.parameters() if p.requires_grad]
        if self.groups is None:
            return [{"params": trained, "lr_factor": 1.0}]
        groups = [
            {"lr_factor": 1.0, **group, "params": [p for p in group["params"] if p.requires_grad]}
            for group in self.groups(model)
        ]
        groups = [group for group in groups if group["params"]]
        held = [id(parameter) for group in groups for parameter in group["params"]]
        if sorted(held) != sorted({id(parameter) for parameter in trained}):
            raise ConfigError(
                f"task {self.name}: groups(model) must hold each parameter that is trained once: "
                f"there are {len(trained)}, the groups hold {len(held)} ({len(set(held))} of them "
                "different)"
            )
        if any("lr" in group for group in groups):
            raise ConfigError(
                f"task {self.name}: a group of groups(model) holds lr: the schedule gives the rate;"
                " say lr_factor, by which it is multiplied"
            )
        return groups

    def loss_of(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the training loss of a batch."""
        return self.train_loss(call(model, batch.inputs), batch.targets)

    def batch_indices(self, seed: int, total_steps: int) -> Iterator[Tensor]:
        """Yield the row numbers `[batch_size]` of each step's batch, on the device.

        Each epoch is a fresh permutation, which depends on the seed and the epoch's number alone.
        """
        assert isinstance(self.train, Split), "a stream has no row numbers"
        rows, per_epoch = len(self.train), self.steps_per_epoch
        for first in range(0, total_steps, per_epoch):
            generator = torch.Generator().manual_seed(derive_seed(seed, "batches", first))
            order = torch.randperm(rows, generator=generator).to(self.device)
            for i in range(min(per_epoch, total_steps - first)):
                yield order[i * self.batch_size : (i + 1) * self.batch_size]

    def batches(self, seed: int, total_steps: int) -> Iterator[Batch]:
        """Yield the batch of each step, augmented, on the device; the seed decides all of them."""
        plain = self._batches(seed, total_steps)
        return plain if self.augment is None else self._augmented(plain, seed)

    def _batches(self, seed: int, total_steps: int) -> Iterator[Batch]:
        if isinstance(self.train, Split):
            for indices in self.batch_indices(seed, total_steps):
                yield self.train.take(indices)
            return
        for first in range(0, total_steps, self.steps_per_epoch):
            epoch = self.train.epoch(derive_seed(seed, "batches", first))
            for _, batch in zip(range(total_steps - first), epoch, strict=False):
                yield batch

    def _augmented(self, batches: Iterator[Batch], seed: int) -> Iterator[Batch]:
        """Yield changed batches; their random numbers are a stream of their own."""
        assert self.augment is not None
        with seeded(derive_seed(seed, "augment"), self.device):
            state = random_state(self.device)
        for batch in batches:
            before = random_state(self.device)
            _set_random_state(self.device, state)
            changed = Batch(*self.augment(batch))
            state = random_state(self.device)
            _set_random_state(self.device, before)
            yield changed


def random_state(device: torch.device) -> tuple[Tensor, ...]:
    """Return the state of the random numbers of the CPU, and of a GPU; the device's own is last."""
    cuda = (torch.cuda.get_rng_state(device),) if device.type == "cuda" else ()
    return (torch.get_rng_state(), *cuda)


def _set_random_state(device: torch.device, state: tuple[Tensor, ...]) -> None:
    torch.set_rng_state(state[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(state[1], device)


def _last(examples: Split | Stream) -> Split | Stream:
    if isinstance(examples, Stream):
        return examples

    def convert(tensor: Tensor) -> Tensor:
        image = tensor.dim() == 4
        return tensor.contiguous(memory_format=torch.channels_last) if image else tensor

    inputs = map_tensors(convert, examples.inputs)
    return Split(inputs, examples.targets)
