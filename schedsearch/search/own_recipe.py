"""The recipe of a study whose trainings a trainer of the user's own makes."""

import os
from functools import partial

from schedsearch.config import StudyConfig
from schedsearch.errors import ConfigError
from schedsearch.objective import find_objective
from schedsearch.training.optimizers import OptimizerSpec
from schedsearch.training.own.task import (
    Function,
    OwnTask,
    own_metrics,
    task_of_command,
    task_of_function,
)
from schedsearch.training.recipe import Recipe


def own_recipe(config: StudyConfig, device: str, function: Function | None = None) -> Recipe:
    """Return the recipe of a study with a trainer of the user's own.

    Args:
        config: the study file.
        device: "auto": the trainer chooses it.
        function: the trainer itself, where it is not to be found by the study's name for it.

    Raises:
        ConfigError: a command or a function that can't be called, or a device.
    """
    if device != "auto":
        raise ConfigError(f"device = {device!r}: your own trainer chooses its device itself")
    training = config.training
    make = partial(
        OwnTask,
        metrics=own_metrics(config.metrics),
        target=config.target,
        parallel=training.parallel,
        limit_seconds=60 * training.limit_minutes or None,
        environment=_threads(training.threads, training.parallel),
    )
    if config.command:
        task = task_of_command(config.command, make)
    else:
        task = task_of_function(function or config.trainer, make)
    # What the schedules are tried on: a scheduler that moves the momentum needs one.
    stands_in = OptimizerSpec("SGD", {"momentum": 0.9})
    recipe = Recipe(task, stands_in, training.evals_per_run)
    if config.target is not None:
        find_objective(config.target[0], recipe.objectives, key="target")
    return recipe


def _threads(wished: int, parallel: int) -> dict[str, str]:
    """Return the variables that divide the cores, where several trainings go on at a time."""
    if not wished and (parallel == 1 or "OMP_NUM_THREADS" in os.environ):
        return {}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"OMP_NUM_THREADS": str(wished or max(1, (cores or 1) // parallel))}
