"""The recipe of a study file: its task, loaded, and how each job of it is trained."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from torch.nn.functional import cross_entropy

from schedsearch.config import StudyConfig, Training
from schedsearch.errors import ConfigError
from schedsearch.objective import Objective, find_objective
from schedsearch.search.given_task import Given
from schedsearch.search.own_recipe import own_recipe
from schedsearch.tasks.registry import load_task
from schedsearch.tasks.task import Task, TaskSource
from schedsearch.training.device import pick_device
from schedsearch.training.optimizers import OptimizerSpec
from schedsearch.training.recipe import Recipe


def recipe_of(config: StudyConfig, device: str, source: Given | None = None) -> Recipe:
    """Return the recipe of a study file; its task is loaded onto the device.

    Args:
        config: the study file.
        device: where the task is trained.
        source: the task or the trainer itself, where it was given as a value.

    Raises:
        SchedsearchError: a task, an optimizer or a device that there is not.
    """
    if config.is_own:
        return own_recipe(config, device, None if isinstance(source, TaskSource) else source)
    training = config.training
    optimizer = _optimizer(training)
    task = load_task(
        source if isinstance(source, TaskSource) else config.task,
        model=config.model,
        batch_size=training.batch_size,
        device=pick_device(device),
        folder=data_folder(config),
    )
    return Recipe(
        _smoothed(task, training.label_smoothing),
        optimizer,
        training.evals_per_run,
        training.diverge_factor,
        training.precision,
        training.clip_norm or None,
        training.accumulate,
        training.ema or None,
    )


def _optimizer(training: Training) -> OptimizerSpec:
    rest = None
    if training.rest_optimizer is not None:
        rest = OptimizerSpec(training.rest_optimizer, training.rest_optimizer_args)
    arguments = training.optimizer_arguments
    return OptimizerSpec(training.optimizer, arguments, rest, training.rest_lr_factor)


def _smoothed(task: Task, smoothing: float) -> Task:
    """Return the task with label smoothing in the loss that is trained."""
    if not smoothing:
        return task
    if task.train_loss is not cross_entropy:
        raise ConfigError(
            f"training.label_smoothing = {smoothing}: the loss that task {task.name} trains is not "
            "torch's cross_entropy: give the task a train_loss with label smoothing"
        )
    return replace(task, train_loss=partial(cross_entropy, label_smoothing=smoothing))


def watched_values(
    names: Sequence[str] | None, objective: Objective, objectives: Sequence[Objective]
) -> dict[str, str]:
    """Return what a plateau may watch, by its mode: as the study says, or what the task has.

    Where the study says nothing, mode "min" watches the validation loss, and mode "max" the
    objective, or else the first metric that is to rise.
    """
    if names is not None:
        chosen = [find_objective(name, objectives) for name in names]
    else:
        chosen = [objectives[0], *([] if objective.minimizes else [objective]), *objectives]
    watched: dict[str, str] = {}
    for each in chosen:
        mode = "min" if each.minimizes else "max"
        if names is not None and mode in watched:
            raise ConfigError(
                f"space.watch = {list(names)}: it names at most one value that is to fall and one "
                "that is to rise"
            )
        watched.setdefault(mode, each.name)
    return watched


def data_folder(config: StudyConfig) -> Path | None:
    """Return the folder of the data that a study file names; None: the usual places."""
    try:
        return Path(config.data).expanduser() if config.data else None
    except RuntimeError as error:
        raise ConfigError(f"data = {config.data!r}: {error}") from error
