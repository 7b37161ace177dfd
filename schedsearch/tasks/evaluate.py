"""Evaluate a model on a split: the numbers are what one pass over the whole split gives.

The model is called on pieces of the split, whose outputs are put together; the loss and each
metric are then called once, on all outputs and targets. So weighted, masked and summed losses, and
metrics that are no mean over rows, are exact, whatever the pieces. Where the outputs do not fit
into memory, pieces are averaged by the weights that the task gives.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from math import ceil
from typing import Any

import psutil
import torch
from torch import Tensor, nn
from torch.nn import functional

from schedsearch.errors import ConfigError
from schedsearch.tasks.metrics import IGNORED, LOSS, Metric
from schedsearch.tasks.split import Batch, Split, call
from schedsearch.tasks.stream import Stream
from schedsearch.tasks.task import Task
from schedsearch.tasks.tree import Tree, concat, leaves
from schedsearch.tasks.user_code import asking, shown

_GPU_ROWS = 8192
_CPU_ROWS = (128, 500)  # fewest and most rows of a forward pass that evaluates,
_CPU_NUMBERS = 100_000  # so that its inputs are about this many numbers, which fit into a cache
_MEMORY_SHARE = 0.25  # of the free memory that the outputs of a split may take


@torch.no_grad()
def evaluate(
    model: nn.Module, task: Task, examples: Split | Stream | None = None
) -> dict[str, Tensor]:
    """Return the loss and the metrics of a model, as tensors without dimensions.

    Args:
        model: the model; it is evaluated in evaluation mode, and left in the mode that it had.
        task: gives the loss and the metrics.
        examples: what the model is evaluated on (default: the validation examples).

    Returns:
        "loss", and each metric by its name. The device is not waited for, unless a metric of the
        user's own does.

    Raises:
        ConfigError: outputs that do not fit into memory, and a loss or a metric without a weight.

    >>> from schedsearch import load_task
    >>> task = load_task("digits")
    >>> sorted(evaluate(task.model(0), task))
    ['accuracy', 'loss']
    """
    examples = task.validation if examples is None else examples
    was_training = model.training
    model.eval()
    try:
        pieces = _outputs(model, task, examples)
        if outputs_fit(task, examples):
            return judge(task, *_together(list(pieces)))
        return _averaged(task, pieces)
    finally:
        model.train(was_training)


def judge(task: Task, outputs: Tree, targets: Tree) -> dict[str, Tensor]:
    """Return the loss and the metrics of all outputs and targets of a split."""
    values = {}
    for metric in measures(task):
        with asking(partial(_failing, task, metric, outputs, targets)):
            values[metric.name] = metric.value(outputs, targets)
    return values


def _failing(task: Task, metric: Metric, outputs: Tree, targets: Tree) -> str:
    what = f"outputs {shown(outputs)} and targets {shown(targets)}"
    return f"task {task.name}: {metric} fails on {what}"


def measures(task: Task) -> tuple[Metric, ...]:
    """Return what an evaluation measures: the loss, then the metrics."""
    weight = task.loss_weight or _known_weight(task.loss)
    return (Metric(LOSS, "minimize", task.loss, weight=weight), *task.metrics)


def evaluation_pieces(task: Task, split: Split) -> list[slice]:
    """Return the pieces of a split that the model is called on: of equal size, none of one row.

    A model whose outputs depend on the rest of a piece (BatchNorm with the statistics of the batch)
    is called on the whole split at once.
    """
    rows = len(split)
    most = task.eval_rows or _piece_rows(split) if task.outputs.alone else rows
    count = max(1, min(ceil(rows / max(most, 1)), rows // 2))
    ends = [rows * i // count for i in range(count + 1)]
    return [slice(first, end) for first, end in pairwise(ends)]


def _piece_rows(split: Split) -> int:
    if split.device.type != "cpu":
        return _GPU_ROWS
    least, most = _CPU_ROWS
    numbers = sum(tensor[0].numel() for tensor in leaves(split.inputs))
    return min(most, max(least, _CPU_NUMBERS // max(numbers, 1)))


def _outputs(model: nn.Module, task: Task, examples: Split | Stream) -> Iterator[tuple[Tree, Tree]]:
    """Yield the outputs and the targets of each piece."""
    batches: Iterator[Batch]
    if isinstance(examples, Stream):
        batches = examples.epoch(0)
    else:
        batches = map(examples.take, evaluation_pieces(task, examples))
    for batch in batches:
        yield call(model, batch.inputs), batch.targets


def _together(pieces: Sequence[tuple[Tree, Tree]]) -> tuple[Tree, Tree]:
    outputs, targets = zip(*pieces, strict=True)
    return concat(outputs), concat(targets)


def _averaged(task: Task, pieces: Iterator[tuple[Tree, Tree]]) -> dict[str, Tensor]:
    """Return the loss and the metrics as averages over pieces, by the weights of each."""
    sums: dict[str, Tensor] = {}
    weights: dict[str, Tensor] = {}
    every = measures(task)
    for outputs, targets in pieces:
        for metric in every:
            assert metric.weight is not None
            with asking(partial(_failing, task, metric, outputs, targets)):
                weight = torch.as_tensor(metric.weight(outputs, targets)).float()
                value = torch.as_tensor(metric.function(outputs, targets)).float() * weight
            sums[metric.name] = sums.get(metric.name, 0) + value
            weights[metric.name] = weights.get(metric.name, 0) + weight
    finish = {metric.name: metric.finish for metric in every}
    means = {name: sums[name] / weights[name] for name in sums}
    return {n: mean if (f := finish[n]) is None else f(mean) for n, mean in means.items()}


def outputs_fit(task: Task, examples: Split | Stream) -> bool:
    """Return whether the outputs of all examples fit into memory together.

    Raises:
        ConfigError: they do not, and a loss or a metric cannot be averaged over pieces.
    """
    size, most = task.outputs.row_bytes, free_bytes(task.device) * _MEMORY_SHARE
    count = len(examples) if isinstance(examples, Split) else _rows_of(task, examples)
    if size * count <= most:
        return True
    lacking = [metric.name for metric in measures(task) if metric.weight is None]
    if lacking:
        what = "the loss" if lacking[0] == LOSS else f"the metric {lacking[0]}"
        how = "loss_weight=" if lacking[0] == LOSS else "Metric(..., weight=)"
        raise ConfigError(
            f"task {task.name}: the outputs for {count} examples take {size * count / 1e9:.1f} GB, "
            f"so {what} can't be computed at once: give {how}, by which pieces are averaged, or "
            "fewer validation examples"
        )
    return False


def _rows_of(task: Task, stream: Stream) -> int:
    return stream.batches_per_epoch * max(len(leaves(task.sample.inputs)[0]), 1)


def free_bytes(device: torch.device) -> float:
    """Return the free memory of a device, in bytes."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    return float(psutil.virtual_memory().available)


def _known_weight(loss: object) -> Callable[[Any, Any], Any] | None:
    """Return by what a loss of torch's is averaged; None where that is not known."""
    if loss is functional.cross_entropy:
        return lambda outputs, targets: (
            (targets != IGNORED).sum() if not targets.is_floating_point() else len(targets)
        )
    if loss in (functional.mse_loss, functional.l1_loss, functional.smooth_l1_loss):
        return lambda outputs, targets: targets.numel()
    return None
