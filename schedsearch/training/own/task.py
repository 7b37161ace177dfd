"""OwnTask: what is trained by a script or a function of the user's own."""

import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from inspect import signature
from typing import Any, ClassVar, TypeAlias

import torch

from schedsearch.config_own import name_of_command
from schedsearch.errors import ConfigError
from schedsearch.imports import import_path
from schedsearch.schedules.schedule import Schedule
from schedsearch.tasks.metrics import METRICS, Metric, metrics_of
from schedsearch.training.choice.way import OWN, Way
from schedsearch.training.own.command import checked_command
from schedsearch.training.own.report import OWN_COLUMNS, Report

Function: TypeAlias = Callable[[Schedule, int, int, Report], object]
"""Trains with a schedule: `function(schedule, total_steps, seed, report)`."""

Make: TypeAlias = Callable[..., "OwnTask"]

_WORKER = ("-m", f"{__package__}.worker")
_OF_A_JOB = ("{schedule}", "{total_steps}", "{seed}", "{last_step}")


@dataclass(frozen=True, eq=False)
class OwnTask:
    """What is trained by a script or a function of the user's own.

    Args:
        name: what it is called.
        command: the words of the command that trains, with PLACEHOLDERS.
        function: trains instead of a command, in this process, one training at a time.
        metrics: what is reported beside the validation loss.
        target: a value of an evaluation, such as ("val_accuracy", 0.96), whose first step is kept.
        parallel: trainings at a time.
        limit_seconds: the longest that one training may take; None: no limit.
        environment: variables of the environment that a command gets beside those of this process.
    """

    model_name: ClassVar[str] = ""
    has_test: ClassVar[bool] = False
    steps_per_epoch: ClassVar[int] = 1
    device: ClassVar[torch.device] = torch.device("cpu")

    name: str
    command: tuple[str, ...] = ()
    function: Function | None = None
    metrics: tuple[Metric, ...] = ()
    target: tuple[str, float] | None = None
    parallel: int = 1
    limit_seconds: float | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if bool(self.command) == (self.function is not None):
            raise ValueError("a command or a function")

    @property
    def words(self) -> str:
        """The command, or the import path of the function."""
        is_function = not self.command or self.command[1:3] == _WORKER
        return self.name if is_function else shlex.join(self.command)


def task_of_command(words: Sequence[str], make: Make) -> OwnTask:
    """Return the task that a command trains; `make` is OwnTask with its other arguments.

    Raises:
        ConfigError: see `checked_command`.
    """
    return make(name_of_command(words), checked_command(words))


def task_of_function(trainer: str | Function, make: Make) -> OwnTask:
    """Return the task that a function trains; `make` is OwnTask with its other arguments.

    A function that is named by its import path is run in processes of its own; a function itself is
    called in this process, unless several trainings at a time are asked for and it can be imported.

    Raises:
        ConfigError: nothing of that name, a function that does not take four arguments, or one that
            can't be imported by others while several trainings at a time are asked for.
    """
    path = trainer if isinstance(trainer, str) else path_of(trainer)
    function: Any = import_path(trainer, "trainer") if isinstance(trainer, str) else trainer
    try:
        signature(function).bind(*range(4))
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"trainer {path!r}: it must be a function of (schedule, total_steps, seed, report): "
            f"{error}"
        ) from error
    inside = make(path, function=function)
    importable = not path.startswith("__main__:") and "<" not in path
    if inside.parallel > 1 and not importable:
        raise ConfigError(
            f"training.parallel = {inside.parallel}: {path} can't be imported by other processes: "
            "move it into a module, and name it by trainer = 'module:function'"
        )
    if inside.parallel == 1 and not (isinstance(trainer, str) and importable):
        return inside
    modules = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    environment = {**inside.environment, "PYTHONPATH": modules}
    command = (sys.executable, *_WORKER, path, *_OF_A_JOB)
    return replace(inside, function=None, command=command, environment=environment)


def path_of(function: Function) -> str:
    """Return the import path of a function.

    >>> path_of(path_of)
    'schedsearch.training.own.task:path_of'
    """
    name = getattr(function, "__qualname__", type(function).__qualname__)
    return f"{getattr(function, '__module__', '__main__')}:{name}"


def own_way(task: OwnTask) -> Way:
    """Return the way in which the user's own trainer trains."""
    return Way(OWN, stack=task.parallel)


def own_metrics(declared: Mapping[str, str]) -> tuple[Metric, ...]:
    """Return the metrics that a study declares, by name and direction; `val_` in front is left out.

    Raises:
        ConfigError: a name that is no word, that an evaluation has already, or no such direction.

    >>> found = own_metrics({"macro_f1": "maximize", "word_errors": "minimize"})
    >>> [metric.words for metric in found]
    ['macro F1', 'word errors']
    """
    words = {metric.name: metric.words for metric in METRICS}
    taken = next((name for name in declared if name in OWN_COLUMNS), None)
    if taken is not None:
        raise ConfigError(f"metrics.{taken}: an evaluation has that already")
    ways = {name.removeprefix("val_"): direction for name, direction in declared.items()}
    return metrics_of(
        Metric(name, direction, _reported, words.get(name, ""))  # type: ignore[arg-type]
        for name, direction in ways.items()
    )


def _reported(outputs: object, targets: object) -> float:
    raise NotImplementedError("the user's own trainer reports it")
