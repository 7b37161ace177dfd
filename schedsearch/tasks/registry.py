"""TASKS: what can be trained; and how a task is found and loaded onto a device."""

from pathlib import Path

import torch

from schedsearch.errors import ConfigError, unknown
from schedsearch.imports import import_path
from schedsearch.named import find_named
from schedsearch.tasks.digits import DIGITS
from schedsearch.tasks.fashion_mnist import FASHION_MNIST
from schedsearch.tasks.task import Data, Split, Task, TaskSource, evaluate

__all__ = [
    "TASKS",
    "Data",
    "Split",
    "Task",
    "TaskSource",
    "evaluate",
    "find_task",
    "load_task",
    "load_test",
]

TASKS: tuple[TaskSource, ...] = (DIGITS, FASHION_MNIST)


def find_task(name: str) -> TaskSource:
    """Return the task of a name; one of your own is `"package.module:ATTRIBUTE"`.

    Raises:
        ConfigError: no such task.
    """
    if ":" not in name:
        return find_named("task", name, TASKS)
    found = import_path(name, "task")
    if not isinstance(found, TaskSource):
        raise ConfigError(f"task {name!r} is not a schedsearch.TaskSource")
    return found


def load_task(
    name: str,
    *,
    model: str | None = None,
    batch_size: int = 64,
    device: torch.device | str = "cpu",
    folder: Path | None = None,
) -> Task:
    """Load a task's training and validation data onto a device.

    Args:
        name: a name of TASKS, or the import path of a TaskSource.
        model: the name of one of the task's models (default: the first).
        batch_size: rows of a batch.
        device: where the data and models live.
        folder: the folder of the data (default: SCHEDSEARCH_DATA, or ./data).

    Raises:
        ConfigError: an unknown task or model, or a batch larger than the training split.
        DataError: the data are missing.
    """
    source = find_task(name)
    model = model or next(iter(source.models))
    if model not in source.models:
        raise ConfigError(unknown(f"model of task {name}", model, source.models))
    data = source.load(folder)
    if not 1 <= batch_size <= len(data.train):
        raise ConfigError(
            f"batch_size = {batch_size} is not allowed: {name} has {len(data.train)} training rows"
        )
    device = torch.device(device)
    return Task(
        name=name,
        model_name=model,
        make_model=source.models[model],
        train=data.train.to(device),
        validation=data.validation.to(device),
        loss=source.loss,
        batch_size=batch_size,
        target_accuracy=source.target_accuracy,
        device=device,
    )


def load_test(task: Task, folder: Path | None = None) -> Split:
    """Return the test split of a task: it is read once, after a search, never during one."""
    return find_task(task.name).load(folder).test.to(task.device)
