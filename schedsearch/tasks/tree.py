"""Trees: tensors, and tuples, lists and dictionaries of trees; what models take and give.

A leaf that is no tensor (None, a number) passes through unchanged.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

Tree: TypeAlias = Any
"""A tensor, or a tuple, list or dictionary of trees."""


def map_tensors(function: Callable[[Tensor], Tensor], tree: Tree) -> Tree:
    """Return the tree with each tensor replaced by what a function makes of it.

    >>> map_tensors(lambda x: x + 1, {"a": torch.tensor(1), "b": (torch.tensor(2), None)})
    {'a': tensor(2), 'b': (tensor(3), None)}
    """
    if isinstance(tree, Tensor):
        return function(tree)
    if isinstance(tree, Mapping):
        return _like(tree, {key: map_tensors(function, part) for key, part in tree.items()})
    if isinstance(tree, list | tuple):
        return _like(tree, [map_tensors(function, part) for part in tree])
    return tree


def leaves(tree: Tree) -> list[Tensor]:
    """Return the tensors of a tree, in order.

    >>> leaves({"a": torch.tensor(1), "b": [torch.tensor(2), "text"]})
    [tensor(1), tensor(2)]
    """
    if isinstance(tree, Tensor):
        return [tree]
    parts = tree.values() if isinstance(tree, Mapping) else tree
    if isinstance(tree, Mapping | list | tuple):
        return [leaf for part in parts for leaf in leaves(part)]
    return []


def count_rows(tree: Tree) -> int:
    """Return the number of rows that all tensors of a tree have.

    Raises:
        ValueError: no tensor, one without rows, or tensors of different lengths.

    >>> count_rows({"a": torch.zeros(3, 2), "b": torch.zeros(3)})
    3
    """
    tensors = leaves(tree)
    if not tensors or any(tensor.dim() == 0 for tensor in tensors):
        raise ValueError("there is no tensor with rows")
    counts = sorted({len(tensor) for tensor in tensors})
    if len(counts) > 1:
        raise ValueError(f"tensors have different numbers of rows: {', '.join(map(str, counts))}")
    return counts[0]


def combine(function: Callable[[list[Tensor]], Tensor], trees: Sequence[Tree]) -> Tree:
    """Return one tree of the shape of all, each tensor made of the tensors in its place.

    >>> combine(torch.stack, [(torch.tensor(1),), (torch.tensor(2),)])
    (tensor([1, 2]),)
    """
    first = trees[0]
    if isinstance(first, Tensor):
        return function(list(trees))
    if isinstance(first, Mapping):
        return _like(first, {k: combine(function, [tree[k] for tree in trees]) for k in first})
    if isinstance(first, list | tuple):
        return _like(first, [combine(function, parts) for parts in zip(*trees, strict=True)])
    return first


def concat(trees: Sequence[Tree], dim: int = 0) -> Tree:
    """Return the trees behind each other along a dimension.

    >>> concat([(torch.tensor([1]),), (torch.tensor([2, 3]),)])
    (tensor([1, 2, 3]),)
    """
    return trees[0] if len(trees) == 1 else combine(lambda parts: torch.cat(parts, dim), trees)


def count_bytes(tree: Tree) -> int:
    """Return the bytes that the tensors of a tree take.

    >>> count_bytes({"a": torch.zeros(3), "b": None})
    12
    """
    return sum(tensor.numel() * tensor.element_size() for tensor in leaves(tree))


def _like(tree: Tree, parts: Any) -> Tree:
    """Return parts in a container of the kind of a tree: also a named tuple, or a ModelOutput."""
    kind = type(tree)
    if kind in (dict, list):
        return parts
    if isinstance(tree, Mapping):
        try:
            return kind(**parts)
        except TypeError:
            return parts
    return kind(*parts) if hasattr(tree, "_fields") else kind(parts)
