"""A task that was given as a value: a run stores its name, and it has to be given again."""

from collections.abc import Callable
from contextlib import suppress

from schedsearch.errors import ConfigError, RunError, StorageError
from schedsearch.store.run import Run
from schedsearch.tasks.registry import find_task
from schedsearch.tasks.task import TaskSource

TASK_GIVEN = "task_given"
"""The attribute of a run, behind the prefix, that says that its task was given as a value."""


def name_of(task: object) -> str:
    """Return the name of a task that was given; empty where none was.

    Raises:
        ConfigError: it is no TaskSource.
    """
    if task is None:
        return ""
    if not isinstance(task, TaskSource):
        raise ConfigError(f"task = {str(task)[:60]!r} is no schedsearch.TaskSource")
    return task.name


def refuse_absent(task: str, find_run: Callable[[], Run]) -> None:
    """Refuse to go on without its task with a run whose task was given as a value.

    Args:
        task: the name of the task.
        find_run: returns the run; raises RunError or StorageError where there is none.

    Raises:
        ConfigError: the task can't be found.
        RunError: it can't, and it was given as a value.
    """
    try:
        find_task(task)
    except ConfigError as error:
        with suppress(StorageError):
            if _was_given(find_run):
                raise RunError(
                    f"the task {task!r} of this run was given in Python, and can't be found by its "
                    "name: give it again there, run_study(..., task=...) or "
                    "confirm_run(..., task=...)"
                ) from error
        raise


def _was_given(find_run: Callable[[], Run]) -> bool:
    try:
        return bool(find_run().attributes.get(TASK_GIVEN))
    except RunError:
        return False
