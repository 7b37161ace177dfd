"""Sketches: a few numbers by which data are known again, on any machine.

Whole numbers are hashed. Numbers with a fraction are projected: a machine with another number of
threads, or another torch, computes a mean that differs in its last digit, and so do all inputs that
were divided by it; a hash would call that other data. Changing, swapping or adding a row changes a
projection by far more than the tolerance.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from schedsearch.tasks.tree import Tree, leaves

_BYTES = 64_000_000  # of a tensor that are read; beyond, an even part of its rows
_CHUNK = 4096  # rows that are projected at once
_PROJECTIONS = 3


@dataclass(frozen=True)
class Sketch:
    """What data are known by.

    Args:
        whole: the hash of whole numbers, shapes and types, 8 hexadecimal digits.
        parts: for each tensor of numbers with a fraction: its norm, and its projections.
    """

    whole: str
    parts: tuple[tuple[float, ...], ...] = ()

    def to_list(self) -> list[Any]:
        """Return the sketch as values that JSON can hold."""
        return [self.whole, *(list(part) for part in self.parts)]


def alike(one: list[Any], other: list[Any], tolerance: float) -> bool:
    """Return whether two sketches, as `to_list` gives them, are of the same data.

    Args:
        one: a sketch.
        other: another.
        tolerance: by what share of the norm a projection may differ.

    >>> x = torch.linspace(0, 1, 60).reshape(20, 3)
    >>> alike(sketch_of(x).to_list(), sketch_of(x * (1 + 1e-7)).to_list(), 1e-5)
    True
    >>> alike(sketch_of(x).to_list(), sketch_of(x.flip(0)).to_list(), 1e-5)
    False
    """
    if one[:1] != other[:1] or len(one) != len(other):
        return False
    return all(
        len(a) == len(b) and all(abs(x - y) <= tolerance * a[0] for x, y in zip(a, b, strict=True))
        for a, b in zip(one[1:], other[1:], strict=True)
    )


@torch.no_grad()
def sketch_of(tree: Tree) -> Sketch:
    """Return the sketch of a tree's tensors."""
    digest = hashlib.blake2b(digest_size=4)
    parts = []
    for tensor in leaves(tree):
        digest.update(f"{_name(tree)} {list(tensor.shape)} {tensor.dtype}".encode())
        if not tensor.numel():
            continue
        rows = _some(tensor)
        if rows.is_floating_point() or rows.is_complex():
            parts.append(_projected(rows, digest))
        else:
            digest.update(rows.cpu().contiguous().numpy().tobytes())
    return Sketch(digest.hexdigest(), tuple(parts))


def _name(tree: Tree) -> str:
    return " ".join(map(str, tree)) if isinstance(tree, Mapping) else ""


def _some(tensor: Tensor) -> Tensor:
    """Return a tensor's rows, or an even part of them."""
    rows = tensor.reshape(1) if not tensor.dim() else tensor
    count = len(rows)
    most = max(1, _BYTES * count // (rows.numel() * rows.element_size()))
    if count <= most:
        return rows
    chosen = torch.arange(most, device=rows.device) * count // most
    return rows[chosen]


def _projected(rows: Tensor, digest: Any) -> tuple[float, ...]:
    """Return the norm of rows and their projections; what is not finite is counted exactly."""
    if rows.is_complex():
        rows = torch.view_as_real(rows)
    flat = rows.reshape(len(rows), -1)
    flat = flat if flat.dtype == torch.float64 else flat.float()
    width = torch.arange(1, flat.shape[1] + 1, dtype=torch.float64)
    numbers = torch.arange(1, _PROJECTIONS + 1, dtype=torch.float64)
    across = torch.cos(width[:, None] * (0.7 * numbers)).to(flat)
    square, sums, odd = 0.0, torch.zeros_like(numbers), 0
    for first in range(0, len(flat), _CHUNK):
        part = flat[first : first + _CHUNK]
        size = float(part.square().sum())
        if not math.isfinite(size):
            finite = torch.isfinite(part)
            odd += int((~finite).sum())
            part = torch.where(finite, part, torch.zeros_like(part))
            size = float(part.square().sum())
        place = torch.arange(first + 1, first + 1 + len(part), dtype=torch.float64)
        down = torch.cos(place[:, None] * (1.3 * numbers))
        square += size
        sums = sums + ((part @ across).double().cpu() * down).sum(dim=0)
    digest.update(f"{odd} not finite".encode())
    return tuple(float(f"{x:.10g}") for x in (square**0.5, *sums.tolist()))
