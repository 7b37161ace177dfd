"""Try what a task is made of on a few examples, before anything long starts.

Each try is of something that a user wrote, and what is wrong is one line that names it. Tries draw
from random numbers of their own, so they change no number of a study. What may index out of range
is tried on the CPU: on a GPU that would end the process's use of the device.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from schedsearch.errors import ConfigError
from schedsearch.tasks.apart import apart
from schedsearch.tasks.end_tries import CPU, try_ends
from schedsearch.tasks.evaluate import evaluate, measures, outputs_fit
from schedsearch.tasks.metrics import Metric
from schedsearch.tasks.split import Batch, Split, call
from schedsearch.tasks.stream import Stream, first_rows
from schedsearch.tasks.stream_tries import try_stream
from schedsearch.tasks.task import Task
from schedsearch.tasks.tree import Tree, leaves
from schedsearch.tasks.user_code import asking, of_task, shown

_SOME = 64  # rows that metrics are tried on


def try_task(task: Task) -> list[str]:
    """Try a task's data, model, losses, metrics, augmentation and groups on a few examples.

    Returns:
        What a person should know of it, in a line each.

    Raises:
        ConfigError: what would stop a training, in one line that names the user's object.
        DataError: data that cannot be trained on.
    """
    with apart(task.device), of_task(task.name):
        return _tried(task)


def _tried(task: Task) -> list[str]:
    notes = []
    model = try_model(task)
    small = model if task.device == CPU else replace(task, device=CPU).model(0)
    for name, examples in (("training", task.train), ("validation", task.validation)):
        if isinstance(examples, Stream):
            where, trains = f"task {task.name}: the {name} data", name == "training"
            notes += try_stream(where, examples, trains=trains)
        try_ends(task, name, examples, small.eval())
    batch = first_batch(task)
    loss = try_loss(task, model.train(), batch)
    try_gradients(task, model, loss)
    with asking("groups(model) fails"):
        task.parameter_groups(model)
    _try_measures(task, model.eval())
    outputs_fit(task, task.validation)  # raises where a loss can't be had at once, nor in pieces
    return notes


def try_model(task: Task) -> nn.Module:
    """Return an untrained model of a task.

    Raises:
        ConfigError: the factory fails, gives something else, or nothing that could be trained.
    """
    where = f"the model {task.model_name!r}"
    with asking(f"{where} can't be made"):
        made = task.make_model()
        if not isinstance(made, nn.Module):
            raise ConfigError(f"{where} is a {type(made).__name__}, not a torch.nn.Module")
        model = task.model(0)
    if not any(p.requires_grad for p in model.parameters()):
        raise ConfigError(f"{where} has no parameter that is trained")
    return model


def outputs_of(task: Task, model: nn.Module, batch: Batch) -> Tree:
    """Return the outputs of a model.

    Raises:
        ConfigError: the model does not take these inputs, or gives no tensor.
    """
    where = f"the model {task.model_name!r}"
    with asking(f"{where} fails on inputs {shown(batch.inputs)}"):
        outputs = call(model, batch.inputs)
    if not leaves(outputs):
        raise ConfigError(f"{where} gives a {type(outputs).__name__}, with no tensor in it")
    return outputs


def first_batch(task: Task) -> Batch:
    """Return the first training batch of seed 0, augmented.

    Raises:
        ConfigError: the augmentation fails, or gives no batch of as many inputs as targets.
    """
    plain = next(iter(replace(task, augment=None).batches(0, 1)))
    if task.augment is None:
        return plain
    where = "augment(batch)"
    with asking(f"{where} fails on a batch of inputs {shown(plain.inputs)}"):
        found: Any = task.augment(plain)
    if not (isinstance(found, tuple) and len(found) == len(Batch._fields)):
        raise ConfigError(f"{where} gives a {type(found).__name__}, not a Batch(inputs, targets)")
    return next(iter(task.batches(0, 1)))


def try_loss(task: Task, model: nn.Module, batch: Batch) -> Tensor:
    """Return the training loss of a batch: one finite number, from which gradients flow.

    Raises:
        ConfigError: the loss fails, or is something else.
    """
    outputs = outputs_of(task, model, batch)
    name = "loss" if task.train_loss is task.loss else "train_loss"
    loss = _called(task, f"the {name}", task.train_loss, outputs, batch.targets)
    where = f"the {name}"
    if not isinstance(loss, Tensor):
        raise ConfigError(f"{where} gives {_object(loss)}, not a tensor{_hint(task.train_loss)}")
    if loss.dim() or not loss.is_floating_point():
        kind = f"of shape {list(loss.shape)}" if loss.dim() else f"of type {loss.dtype}"
        raise ConfigError(f"{where} gives a tensor {kind}, not one number: take its mean")
    if not bool(torch.isfinite(loss)):
        reason = _not_finite((("inputs", batch.inputs), ("targets", batch.targets)))
        raise ConfigError(
            f"{where} is {loss.item()} on the first training batch, before any step{reason}"
        )
    if not loss.requires_grad:
        raise ConfigError(
            f"{where} has no gradient: it must be computed by torch from the outputs, without "
            "detach(), item(), argmax or no_grad"
        )
    return loss


def try_gradients(task: Task, model: nn.Module, loss: Tensor) -> list[str]:
    """Compute the gradients of a loss, and return the names of parameters that get none.

    Raises:
        ConfigError: no parameter gets a gradient, or one that is not finite.
    """
    with asking("the gradient of the loss fails"):
        loss.backward()  # type: ignore[no-untyped-call]
    trained = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    without = [name for name, grad in trained.items() if grad is None]
    if len(without) == len(trained):
        raise ConfigError("the loss does not depend on any parameter of the model")
    for name, grad in trained.items():
        if grad is not None and not bool(torch.isfinite(grad).all()):
            raise ConfigError(f"the gradient of {name} is not finite on the first training batch")
    return without


def try_test(task: Task, examples: Split | Stream) -> None:
    """Try whether a test split fits the task, by its shapes alone: no value of it is used.

    Raises:
        ConfigError: it doesn't.
    """
    if isinstance(examples, Stream) or isinstance(task.validation, Stream):
        return
    given, known = examples.targets is not None, task.validation.targets is not None
    if given != known:
        has, lacks = ("test", "validation") if given else ("validation", "test")
        raise ConfigError(
            f"the {has} split has targets and the {lacks} split has none; "
            "a task without test labels says test=None"
        )
    pairs = zip(
        leaves((task.validation.inputs, task.validation.targets)),
        leaves((examples.inputs, examples.targets)),
        strict=False,
    )
    for one, other in pairs:
        if one.dim() != other.dim() or one.dtype != other.dtype:
            raise ConfigError(
                f"the test split does not fit: a tensor of it is "
                f"{_kind(other)}, where the validation split has {_kind(one)}"
            )


def _kind(tensor: Tensor) -> str:
    return f"{['N', *tensor.shape[1:]]} {tensor.dtype}".replace("'", "").replace("torch.", "")


@torch.no_grad()
def _try_measures(task: Task, model: nn.Module) -> None:
    """Try the loss and each metric on a few validation examples; on all where that gives nothing.

    A metric that has no value for a few examples (one class alone, say) may have one for all.
    """
    if isinstance(task.validation, Stream):
        batch = first_rows(task.validation)
    else:
        batch = task.validation.take(slice(0, _SOME))
    outputs = outputs_of(task, model, batch)
    problems = [_problem(task, metric, outputs, batch.targets) for metric in measures(task)]
    if not any(problems):
        return
    values = evaluate(model, task)  # raises where a metric can't be computed for all either
    for metric in measures(task):
        value = float(values[metric.name])
        if not math.isfinite(value):
            raise ConfigError(
                f"{metric} is {value} on the validation split, for the "
                "untrained model: it must be a number there too"
            )


def _problem(task: Task, metric: Metric, outputs: Tree, targets: Tree) -> bool:
    try:
        return not bool(torch.isfinite(metric.value(outputs, targets)).all())
    except Exception:
        return True


def _called(
    task: Task, what: str, function: Callable[[Any, Any], Any], outputs: Tree, targets: Tree
) -> Any:
    def failing() -> str:
        shapes = f"outputs {shown(outputs)} and targets {shown(targets)}"
        return f"{what} fails on {shapes}{_hint(function)}"

    with asking(failing):
        return function(outputs, targets)


def _object(thing: object) -> str:
    return f"a {type(thing).__name__}"


def _hint(function: object) -> str:
    """Return what to do where a class was given in the place of an instance."""
    if isinstance(function, type):
        return f" (give an instance, {function.__name__}(), not the class)"
    return ""


def _not_finite(parts: tuple[tuple[str, Tree], ...]) -> str:
    """Return which of some trees hold numbers that are not finite, in words."""
    bad = [n for n, part in parts if any(not bool(torch.isfinite(t).all()) for t in leaves(part))]
    return f": the {' and the '.join(bad)} hold nan or infinity" if bad else ""
