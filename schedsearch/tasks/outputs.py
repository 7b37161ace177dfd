"""What is known of a model's outputs before it is evaluated on a whole split."""

from dataclasses import dataclass

import torch
from torch import nn

from schedsearch.tasks.split import Batch, Split, call
from schedsearch.tasks.tree import concat, count_bytes, leaves

_SAME = 1e-3  # outputs in one piece and in two may differ by this share of the largest


@dataclass(frozen=True)
class OutputFacts:
    """What is known of a model's outputs.

    Args:
        alone: whether the outputs for an example are the same whatever else is in its piece; they
            are not with BatchNorm that uses the statistics of the batch.
        row_bytes: the bytes of the outputs and targets of one example.
    """

    alone: bool
    row_bytes: float


@torch.no_grad()
def output_facts(model: nn.Module, batch: Batch) -> OutputFacts:
    """Find out about a model's outputs by calling it on a few examples, whole and in two pieces."""
    model.eval()
    rows = len(leaves(batch.inputs)[0])
    outputs = call(model, batch.inputs)
    size = (count_bytes(outputs) + count_bytes(batch.targets)) / rows
    if rows < 4:
        return OutputFacts(alone=True, row_bytes=size)
    split, half = Split(batch.inputs), rows // 2
    pieces = (split.take(slice(0, half)), split.take(slice(half, rows)))
    parts = [call(model, piece.inputs) for piece in pieces]
    try:
        pairs = zip(leaves(outputs), leaves(concat(parts)), strict=True)
        alone = all(_alike(one, other) for one, other in pairs)
    except (RuntimeError, ValueError):  # outputs that cannot be put together
        alone = False
    return OutputFacts(alone, size)


def _alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    if one.shape != other.shape or not one.is_floating_point():
        return one.shape == other.shape and bool((one == other).all())
    largest = float(one.abs().max()) if one.numel() else 0.0
    return torch.allclose(one, other, rtol=_SAME, atol=_SAME * largest, equal_nan=True)
