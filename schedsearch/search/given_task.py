"""What trains, where it was given as a value: a run stores its name, so it is given again."""

from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias

from schedsearch.config import StudyConfig
from schedsearch.errors import ConfigError, RunError, StorageError
from schedsearch.imports import import_path
from schedsearch.store.run import Run
from schedsearch.tasks.registry import find_task
from schedsearch.tasks.task import TaskSource
from schedsearch.training.own.task import Function, path_of

Given: TypeAlias = TaskSource | Function
"""A task, or a function of the user's own that trains."""

TASK_GIVEN = "task_given"
"""The attribute of a run, behind the prefix, that says that what trains was given as a value."""


def what_is_given(task: object, trainer: object) -> Given | None:
    """Return the task or the trainer that was given; None where neither was.

    Raises:
        ConfigError: it is no TaskSource, or no function; or both were given.
    """
    if task is not None and trainer is not None:
        raise ConfigError("task and trainer exclude each other: one of them trains")
    if task is not None and not isinstance(task, TaskSource):
        raise ConfigError(f"task = {str(task)[:60]!r} is no schedsearch.TaskSource")
    if trainer is not None and not callable(trainer):
        raise ConfigError(f"trainer = {str(trainer)[:60]!r} is no function")
    return task or trainer


def keys_of(given: Given | None) -> dict[str, str]:
    """Return what a study says whose task or trainer was given."""
    if given is None:
        return {}
    return {"task": given.name} if isinstance(given, TaskSource) else {"trainer": path_of(given)}


def refuse_absent(config: StudyConfig, find_run: Callable[[], Run]) -> None:
    """Refuse to go on without what trains with a run to which it was given as a value.

    Args:
        config: the study.
        find_run: returns the run; raises RunError or StorageError where there is none.

    Raises:
        ConfigError: the task or the trainer can't be found.
        RunError: it can't, and it was given as a value.
    """
    kind = "trainer" if config.is_own else "task"
    try:
        if config.trainer:
            import_path(config.trainer, kind)
        elif not config.is_own:
            find_task(config.task)
    except ConfigError as error:
        with suppress(StorageError):
            if _was_given(find_run):
                raise RunError(
                    f"the {kind} {config.trains!r} of this run was given in Python, and can't be "
                    f"found by its name: give it again there, run_study(..., {kind}=...) or "
                    f"confirm_run(..., {kind}=...)"
                ) from error
        raise


def _was_given(find_run: Callable[[], Run]) -> bool:
    try:
        return bool(find_run().attributes.get(TASK_GIVEN))
    except RunError:
        return False
