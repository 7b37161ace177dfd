"""The ways of training one job at a time that are worth measuring."""

from torch import Tensor

from schedsearch.compat import is_convolution
from schedsearch.tasks.task import Task
from schedsearch.training.choice.demand import Demand
from schedsearch.training.choice.way import Way
from schedsearch.training.recipe import Recipe


def takes_channels_last(task: Task) -> bool:
    """Return whether torch's channels_last memory format may make a task faster."""
    inputs = task.sample.inputs
    return (
        isinstance(inputs, Tensor)
        and inputs.dim() == 4
        and any(map(is_convolution, task.model(0).modules()))
    )


def loop_ways(kind: str, recipe: Recipe, demand: Demand) -> list[Way]:
    """Return a way for each number of threads and each memory format."""
    formats = (False, True) if takes_channels_last(recipe.trained_task) else (False,)
    return [
        Way(kind, threads=count, channels_last=last, own_batches=demand.own)
        for count in demand.threads
        for last in formats
    ]
