"""schedsearch: which learning-rate schedule should I use, and how sure am I."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from schedsearch.analysis import Run, open_run
    from schedsearch.config import StudyConfig, load_config
    from schedsearch.errors import SchedsearchError
    from schedsearch.launch import run_study
    from schedsearch.outputs.export import load_schedule
    from schedsearch.outputs.plots import plot
    from schedsearch.schedules import FAMILIES, Family, Schedule, Warmup
    from schedsearch.tasks import TASKS, Task, TaskSource, load_task
    from schedsearch.training import Curve, OptimizerSpec, train

# where each public name lives; it is imported when it is first used, so `--help` needs no torch
_HOMES = {
    "FAMILIES": "schedsearch.schedules",
    "TASKS": "schedsearch.tasks",
    "Curve": "schedsearch.training",
    "Family": "schedsearch.schedules",
    "OptimizerSpec": "schedsearch.training",
    "Run": "schedsearch.analysis",
    "SchedsearchError": "schedsearch.errors",
    "Schedule": "schedsearch.schedules",
    "StudyConfig": "schedsearch.config",
    "Task": "schedsearch.tasks",
    "TaskSource": "schedsearch.tasks",
    "Warmup": "schedsearch.schedules",
    "load_config": "schedsearch.config",
    "load_schedule": "schedsearch.outputs.export",
    "load_task": "schedsearch.tasks",
    "open_run": "schedsearch.analysis",
    "plot": "schedsearch.outputs.plots",
    "run_study": "schedsearch.launch",
    "train": "schedsearch.training",
}

__all__ = [
    "FAMILIES",
    "TASKS",
    "Curve",
    "Family",
    "OptimizerSpec",
    "Run",
    "SchedsearchError",
    "Schedule",
    "StudyConfig",
    "Task",
    "TaskSource",
    "Warmup",
    "load_config",
    "load_schedule",
    "load_task",
    "open_run",
    "plot",
    "run_study",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'schedsearch' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
