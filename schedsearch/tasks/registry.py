"""TASKS: what can be trained; and how a task is found and loaded onto a device."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from schedsearch.errors import ConfigError, DataError, unknown
from schedsearch.imports import import_path
from schedsearch.named import find_named
from schedsearch.tasks.apart import apart
from schedsearch.tasks.char_lm import CHAR_LM
from schedsearch.tasks.cifar10 import CIFAR10
from schedsearch.tasks.digits import DIGITS
from schedsearch.tasks.fashion_mnist import FASHION_MNIST
from schedsearch.tasks.imbalanced import IMBALANCED
from schedsearch.tasks.metrics import Metric, default_metrics, metrics_of
from schedsearch.tasks.split import Batch, Split
from schedsearch.tasks.stream import Stream, in_memory, stream_of
from schedsearch.tasks.tabular import TABULAR
from schedsearch.tasks.task import Data, Task, TaskSource
from schedsearch.tasks.tree import Tree, map_tensors
from schedsearch.tasks.tries import outputs_of, try_model, try_test
from schedsearch.tasks.user_code import asking, is_out_of_range, of_task

TASKS: tuple[TaskSource, ...] = (DIGITS, FASHION_MNIST, CIFAR10, CHAR_LM, TABULAR, IMBALANCED)


def find_task(name: str | TaskSource) -> TaskSource:
    """Return the task of a name; one of your own is `"package.module:ATTRIBUTE"`, or itself.

    Raises:
        ConfigError: no such task.
    """
    if isinstance(name, TaskSource):
        return name
    if ":" not in name:
        return find_named("task", name, TASKS)
    found = import_path(name, "task")
    if not isinstance(found, TaskSource):
        raise ConfigError(f"task {name!r} is not a schedsearch.TaskSource")
    return found


def load_task(
    task: str | TaskSource,
    *,
    model: str | None = None,
    batch_size: int = 64,
    device: torch.device | str = "cpu",
    folder: Path | None = None,
) -> Task:
    """Load a task's training and validation data onto a device.

    Args:
        task: a name of TASKS, the import path of a TaskSource, or a TaskSource.
        model: the name of one of the task's models (default: the first).
        batch_size: rows of a batch.
        device: where the data and models live.
        folder: the folder of the data (default: SCHEDSEARCH_DATA, or ./data).

    Raises:
        ConfigError: an unknown task, model, metric or target, or a batch larger than the data.
        DataError: the data are missing.
    """
    source = task if isinstance(task, TaskSource) else find_task(task)
    name = source.name if isinstance(task, TaskSource) else task
    model = model or next(iter(source.models))
    if model not in source.models:
        raise ConfigError(unknown(f"model of task {name}", model, source.models))
    if batch_size < 1:
        raise ConfigError(f"batch_size = {batch_size} is not allowed: at least 1")
    with of_task(name):
        loaded = _loaded(source, name, model, batch_size, torch.device(device), folder)
    return loaded if loaded.device == torch.device(device) else loaded.to(torch.device(device))


def _loaded(
    source: TaskSource,
    name: str,
    model: str,
    batch_size: int,
    device: torch.device,
    folder: Path | None,
) -> Task:
    """Return a task on the CPU, to be trained on a device."""
    data = _data_of(source, folder)
    loaded = Task(
        name=name,
        model_name=model,
        make_model=source.models[model],
        train=_examples(data.train, "training", batch_size),
        validation=_examples(data.validation, "validation", batch_size),
        loss=source.loss,
        train_loss=source.train_loss or source.loss,
        metrics=() if source.metrics is None else metrics_of(source.metrics),
        target=source.target,
        batch_size=batch_size,
        device=torch.device("cpu"),
        has_test=data.test is not None,
        groups=source.groups,
        augment=source.augment,
        eval_rows=source.eval_rows,
        loss_weight=source.loss_weight,
    )
    if source.metrics is None:
        loaded = replace(loaded, metrics=_default_metrics(loaded, device))
    _check_target(loaded)
    if isinstance(data.test, Split):
        try_test(loaded, data.test)
    return loaded


def _data_of(source: TaskSource, folder: Path | None) -> Data:
    with asking("load() fails"):
        data: object = source.load(folder)
    if not isinstance(data, Data):
        raise ConfigError(f"load() gives a {type(data).__name__}, not a schedsearch.Data")
    return data


def _examples(given: Split | Stream | Dataset[Any], split: str, batch_size: int) -> Split | Stream:
    """Return what a task gives as a split's examples: in memory, or as a stream."""
    kind, what = type(given).__name__, f"the {split} data"
    if isinstance(given, DataLoader):
        raise ConfigError(f"{what} are a DataLoader: give Stream(lambda seed: DataLoader(...))")
    if not isinstance(given, Split | Stream | Dataset):
        raise ConfigError(f"{what} are a {kind}: give a Split, a map-style Dataset or a Stream")
    if isinstance(given, IterableDataset):
        raise ConfigError(f"{what} are an IterableDataset: give a Stream of its DataLoader")
    if isinstance(given, Stream):
        return given
    with asking(f"{what}, a {kind}, have no len()"):
        rows = len(given)  # type: ignore[arg-type]
    if not rows:
        raise DataError(f"{what} are empty")
    trains = split == "training"
    if trains and batch_size > rows:
        raise ConfigError(f"batch_size = {batch_size} is more than its {rows} training rows")
    if isinstance(given, Split):
        return given
    if trains and not isinstance(given, TensorDataset):
        return stream_of(given, batch_size, shuffles=True)
    with asking(f"{what} can't be read"):
        return in_memory(given)


def _default_metrics(task: Task, device: torch.device) -> tuple[Metric, ...]:
    """Return the metrics of a task that names none, by what its model gives.

    The CPU is asked first, where an index out of range is an error like any other.
    """
    try:
        outputs = _some_outputs(task)
    except ConfigError as error:
        if device.type == "cpu" or is_out_of_range(error):
            raise
        outputs = _some_outputs(replace(task, device=device))  # a model of the GPU alone
    return default_metrics(outputs, task.sample.targets)


def _some_outputs(task: Task) -> Tree:
    with torch.no_grad(), apart(task.device):
        inputs = map_tensors(lambda tensor: tensor.to(task.device), task.sample.inputs)
        return outputs_of(task, try_model(task).eval(), Batch(inputs, inputs))


def _check_target(task: Task) -> None:
    if task.target is None:
        return
    name, value = task.target
    allowed = ["val_loss", *(f"val_{metric.name}" for metric in task.metrics)]
    if name not in allowed:
        raise ConfigError(unknown("value in the target", name, allowed))
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigError(f"the target {value!r} is no number")


def load_test(
    task: Task, folder: Path | None = None, source: TaskSource | None = None
) -> Split | Stream:
    """Return the test examples of a task: they are read once, after a search, never during one.

    Args:
        task: the task.
        folder: the folder of the data.
        source: where a task comes from that can't be found by its name.
    """
    test = find_task(source or task.name).load(folder).test
    if test is None:
        raise ConfigError(f"task {task.name} has no test examples")
    return _examples(test, "test", task.batch_size).to(task.device)
