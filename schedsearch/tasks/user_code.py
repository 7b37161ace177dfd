"""Call what a user wrote: what it raises becomes one line that names it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from schedsearch.errors import ConfigError, SchedsearchError
from schedsearch.imports import place_of
from schedsearch.tasks.tree import Tree, leaves

_MOST = 300  # characters of what an exception says


@contextmanager
def asking(what: str | Callable[[], str]) -> Iterator[None]:
    """Turn what a user's code raises inside the block into one line.

    Args:
        what: what is asked of that code, such as "task my:TASK: the loss fails"; or what returns
            that, where it takes time.

    Raises:
        ConfigError: the block raised anything but an error of this package.

    >>> with asking("task my:TASK: the loss fails"):
    ...     raise ValueError("no classes")
    Traceback (most recent call last):
    schedsearch.errors.ConfigError: task my:TASK: the loss fails: ValueError: no classes
    """
    try:
        yield
    except SchedsearchError:
        raise
    except Exception as error:
        said = what if isinstance(what, str) else what()
        raise ConfigError(f"{said}: {short(error)}") from error


@contextmanager
def of_task(name: str) -> Iterator[None]:
    """Let every error of this package that the block raises name the task.

    >>> with of_task("my:TASK"):
    ...     raise ConfigError("a split has no examples")
    Traceback (most recent call last):
    schedsearch.errors.ConfigError: task my:TASK: a split has no examples
    """
    try:
        yield
    except SchedsearchError as error:
        if str(error).startswith("task "):
            raise
        raise type(error)(f"task {name}: {error}") from error


def short(error: BaseException) -> str:
    """Return an exception's class and text in one line, and where the user's code raised it.

    >>> short(ValueError("two   words"))
    'ValueError: two words'
    """
    text = " ".join(str(error).split())
    whole = f"{type(error).__name__}: {text}" if text else type(error).__name__
    place = place_of(error)
    return (whole if len(whole) <= _MOST else f"{whole[:_MOST]}...") + f" ({place})" * bool(place)


def shown(tree: Tree) -> str:
    """Return the shapes of a tree's tensors, and the least and largest of whole numbers.

    >>> shown({"x": torch.zeros(2, 3), "y": torch.tensor([4, 7])})
    "{'x': [2, 3], 'y': [2] of 4 to 7}"
    """
    if isinstance(tree, Tensor):
        whole = not (tree.is_floating_point() or tree.is_complex() or tree.dtype == torch.bool)
        ends = f" of {int(tree.min())} to {int(tree.max())}" if whole and tree.numel() else ""
        return f"{list(tree.shape)}{ends}"
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{key!r}: {shown(part)}" for key, part in tree.items()) + "}"
    if isinstance(tree, tuple | list):
        return "(" + ", ".join(shown(part) for part in tree) + ")"
    return f"a {type(tree).__name__}" if not leaves(tree) else f"{type(tree).__name__} of tensors"


def is_out_of_range(error: BaseException | None) -> bool:
    """Return whether a label or an index was too large, or below zero.

    On a GPU such an index ends the process's use of the device, so it is looked for on the CPU.
    """
    text = str(error).lower().replace("dimension out of range", "")
    words = ("out of bounds", "out of range", "smaller than num_classes", "must be non-negative")
    return any(word in text for word in words)
