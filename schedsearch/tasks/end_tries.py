"""Try the least and the largest label and index of a split, on the CPU.

On a GPU one that is out of range would end the process's use of the device.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from schedsearch.errors import ConfigError
from schedsearch.tasks.apart import apart
from schedsearch.tasks.metrics import IGNORED
from schedsearch.tasks.split import Batch, Split, call
from schedsearch.tasks.stream import Stream, first_rows
from schedsearch.tasks.task import Task
from schedsearch.tasks.tree import Tree, leaves, map_tensors
from schedsearch.tasks.user_code import is_out_of_range, of_task, short, shown

CPU = torch.device("cpu")
_FEW = 8  # rows that are tried beside those at the ends


def try_values(task: Task, name: str, examples: Split | Stream) -> None:
    """Try whether the model and the loss take the ends of all whole numbers of a split, on the CPU.

    Raises:
        ConfigError: a label, or an index among the inputs, is out of range.
    """
    with apart(CPU), of_task(task.name):
        try_ends(task, name, examples, replace(task, device=CPU).model(0).eval())


def try_ends(task: Task, name: str, examples: Split | Stream, model: nn.Module) -> None:
    """Try whether a model on the CPU, and the losses, take the ends of a split's whole numbers.

    Raises:
        ConfigError: a label, or an index among the inputs, is out of range.
    """
    rows = _end_rows(examples)
    if not len(leaves(rows.inputs)):
        return
    inputs = f"the {name} inputs {_ends(examples, 'inputs')}"
    targets = f"the {name} targets {_ends(examples, 'targets')}"
    with torch.no_grad():
        try:
            outputs = call(model, rows.inputs)
        except Exception as error:
            if is_out_of_range(error):
                raise ConfigError(f"{inputs} don't fit the model: {short(error)}") from error
            return  # it is tried again on the device, and told there
        for loss in (task.train_loss, task.loss):
            try:
                loss(outputs, rows.targets)
            except Exception as error:
                if is_out_of_range(error):
                    text = f"don't fit outputs of shape {shown(outputs)}: {short(error)}"
                    raise ConfigError(f"{targets} {text}") from error
                return


def _end_rows(examples: Split | Stream) -> Batch:
    """Return a few examples on the CPU, and those with the least and largest whole numbers."""
    if isinstance(examples, Stream):
        batch = first_rows(examples)
        examples = Split(batch.inputs, batch.targets)
    rows = list(range(min(_FEW, len(examples))))
    for tensor in _whole_numbers((examples.inputs, examples.targets)):
        flat = tensor.reshape(len(tensor), -1)
        counted = flat.masked_fill(flat == IGNORED, int(flat.max()))
        for one in (flat.argmax(), counted.argmin()):
            rows.append(int(one) // max(flat.shape[1], 1))
    batch = examples.take(torch.tensor(rows, device=examples.device))
    return Batch(*(map_tensors(lambda tensor: tensor.cpu(), part) for part in batch))


def _whole_numbers(tree: Tree) -> list[Tensor]:
    kinds = (torch.int64, torch.int32, torch.int16, torch.int8)
    return [tensor for tensor in leaves(tree) if tensor.dtype in kinds and tensor.numel()]


def _ends(examples: Split | Stream, part: str) -> str:
    """Return the range of whole numbers among inputs or targets, in words."""
    if isinstance(examples, Stream):
        tree = getattr(first_rows(examples), part)
    else:
        tree = getattr(examples, part)
        tree = examples.inputs if tree is None else tree
    whole = [tensor[tensor != IGNORED] for tensor in _whole_numbers(tree)]
    ranges = [f"{int(t.min())} to {int(t.max())}" for t in whole if t.numel()]
    return f"({' and '.join(ranges)})" if ranges else ""
