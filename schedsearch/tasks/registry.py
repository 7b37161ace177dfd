"""TASKS: what can be trained; and how a task is found and loaded onto a device."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset, TensorDataset

from schedsearch.errors import ConfigError, unknown
from schedsearch.imports import import_path
from schedsearch.named import find_named
from schedsearch.tasks.char_lm import CHAR_LM
from schedsearch.tasks.cifar10 import CIFAR10
from schedsearch.tasks.digits import DIGITS
from schedsearch.tasks.fashion_mnist import FASHION_MNIST
from schedsearch.tasks.imbalanced import IMBALANCED
from schedsearch.tasks.metrics import Metric, default_metrics, metrics_of
from schedsearch.tasks.split import Split, call
from schedsearch.tasks.stream import Stream, in_memory, stream_of
from schedsearch.tasks.tabular import TABULAR
from schedsearch.tasks.task import Task, TaskSource

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
    data = source.load(folder)
    if batch_size < 1:
        raise ConfigError(f"batch_size = {batch_size} is not allowed: at least 1")
    device = torch.device(device)
    loaded = Task(
        name=name,
        model_name=model,
        make_model=source.models[model],
        train=_examples(data.train, name, batch_size, trains=True).to(device),
        validation=_examples(data.validation, name, batch_size, trains=False).to(device),
        loss=source.loss,
        train_loss=source.train_loss or source.loss,
        metrics=() if source.metrics is None else metrics_of(source.metrics),
        target=source.target,
        batch_size=batch_size,
        device=device,
        has_test=data.test is not None,
        groups=source.groups,
        augment=source.augment,
        eval_rows=source.eval_rows,
        loss_weight=source.loss_weight,
    )
    if source.metrics is None:
        loaded = replace(loaded, metrics=_default_metrics(loaded))
    _check_target(loaded)
    return loaded


def _examples(
    given: Split | Stream | Dataset[Any], name: str, batch_size: int, *, trains: bool
) -> Split | Stream:
    """Return what a task gives as examples: in memory, or as a stream."""
    if isinstance(given, TensorDataset):
        given = in_memory(given)
    rows = None if isinstance(given, Stream) else len(given)  # type: ignore[arg-type]
    if trains and rows is not None and batch_size > rows:
        raise ConfigError(
            f"batch_size = {batch_size} is not allowed: {name} has {rows} training rows"
        )
    if isinstance(given, Split | Stream):
        return given
    if trains:
        return stream_of(given, batch_size, shuffles=True)
    return in_memory(given)


def _default_metrics(task: Task) -> tuple[Metric, ...]:
    """Return the metrics of a task that names none, by what its model gives."""
    with torch.no_grad():
        outputs = call(task.model(0).eval(), task.sample.inputs)
    return default_metrics(outputs, task.sample.targets)


def _check_target(task: Task) -> None:
    if task.target is None:
        return
    name, value = task.target
    allowed = ["val_loss", *(f"val_{metric.name}" for metric in task.metrics)]
    if name not in allowed:
        raise ConfigError(unknown(f"value in the target of task {task.name}", name, allowed))
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigError(f"the target of task {task.name}, {value!r}, is no number")


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
    return _examples(test, task.name, task.batch_size, trains=False).to(task.device)
