"""Split and Batch: examples as tensors; and how a model is called on them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from schedsearch.errors import DataError
from schedsearch.tasks.tree import Tree, count_rows, leaves, map_tensors


class Batch(NamedTuple):
    """Some examples: what the model gets, and what its outputs are compared with."""

    inputs: Tree
    targets: Tree


@dataclass(frozen=True, eq=False)
class Split:
    """Examples in memory, all on one device.

    Args:
        inputs: what the model is called with: a tensor `[N, ...]`, or a tuple or dictionary of such
            tensors, which become the arguments of the model.
        targets: what a loss compares the outputs with, of any shape `[N, ...]`, or a tuple or
            dictionary of tensors; None: the inputs themselves (an autoencoder, or labels among the
            inputs).

    Raises:
        DataError: no rows, or inputs and targets of different lengths.

    >>> split = Split({"tokens": torch.zeros(3, 5), "mask": torch.ones(3, 5)}, torch.arange(3))
    >>> len(split), split.take(slice(0, 2)).targets
    (3, tensor([0, 1]))
    """

    inputs: Tree
    targets: Tree = None

    def __post_init__(self) -> None:
        try:
            rows = count_rows((self.inputs, self.targets))
        except ValueError as error:
            raise DataError(f"a split's inputs and targets don't fit together: {error}") from error
        if not rows:
            raise DataError("a split has no examples")

    def __len__(self) -> int:
        return len(leaves(self.inputs)[0])

    def to(self, device: torch.device) -> "Split":
        """Return the split on a device."""
        return self.map(lambda tensor: tensor.to(device))

    def map(self, function: Callable[[Tensor], Tensor]) -> "Split":
        """Return the split with each tensor replaced by what a function makes of it."""
        inputs, targets = (map_tensors(function, part) for part in (self.inputs, self.targets))
        return Split(inputs, targets)

    def take(self, rows: Tensor | slice) -> Batch:
        """Return some of the examples."""
        inputs = map_tensors(lambda tensor: tensor[rows], self.inputs)
        if self.targets is None:
            return Batch(inputs, inputs)
        return Batch(inputs, map_tensors(lambda tensor: tensor[rows], self.targets))

    @property
    def device(self) -> torch.device:
        """Where the examples are."""
        return leaves(self.inputs)[0].device


def call(model: nn.Module, inputs: Tree) -> Tree:
    """Return the outputs of a model: a tuple of inputs are its arguments, a dictionary by name.

    >>> call(nn.Bilinear(2, 2, 1), (torch.zeros(3, 2), torch.zeros(3, 2))).shape
    torch.Size([3, 1])
    """
    if isinstance(inputs, dict):
        return model(**inputs)
    if isinstance(inputs, tuple | list):
        return model(*inputs)
    return model(inputs)
