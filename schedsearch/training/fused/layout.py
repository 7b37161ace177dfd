"""Layout: which tensors of a model each job has of its own, and how they lie in memory."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from schedsearch.tasks.task import Task, seeded


class Weights(NamedTuple):
    """The tensors of a job that are its own; or those of K jobs, with a first dimension K.

    Args:
        params: what is trained: a flat tensor `[P]` for each parameter group.
        others: by name: buffers that a training step changes (running statistics), and whatever
            differs between seeds.
    """

    params: tuple[Tensor, ...]
    others: dict[str, Tensor]


class Layout:
    """How the tensors of a task's model lie in `Weights`.

    Parameters of a group lie one behind the other in the order of the model's memory. What is not
    trained and the same for all jobs (frozen weights, tables) is no part of the weights: all jobs
    share the tensor of one model.

    Args:
        task: the task.
        model: a model of the task, of seed 0.

    Attributes:
        factors: the rate of each parameter group, as a multiple of the schedule's.
        options: of each group, what else the optimizer is told of it.
        changing: names of `others` that a training step changes.
    """

    def __init__(self, task: Task, model: nn.Module) -> None:
        names = {id(p): name for name, p in model.named_parameters()}
        groups = [dict(group) for group in task.parameter_groups(model)]
        self._groups = [[names[id(p)] for p in group.pop("params")] for group in groups]
        self.factors = tuple(float(group.pop("lr_factor")) for group in groups)
        self.options: list[dict[str, Any]] = groups
        named = dict(model.named_parameters())
        self._shapes = {name: named[name].shape for group in self._groups for name in group}
        self._sizes = [[named[name].numel() for name in group] for group in self._groups]
        self._last = {name for name in self._shapes if _is_channels_last(named[name])}
        found, other, changed = (
            tensors_of(model),
            tensors_of(task.model(1)),
            changed_by_a_step(task),
        )
        rest = [name for name in found if name not in self._shapes]
        self.changing = tuple(name for name in rest if name in changed)
        self._others = [
            name for name in rest if name in changed or not _same(found[name], other[name])
        ]

    def weights(self, model: nn.Module) -> Weights:
        """Return copies of the tensors of a model."""
        found = tensors_of(model)
        return Weights(self.flat(found), {name: found[name].clone() for name in self._others})

    def flat(self, named: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """Return tensors of the shapes of what is trained as flat tensors `[P]`."""
        return tuple(torch.cat([self._flat(n, named[n]) for n in group]) for group in self._groups)

    def _flat(self, name: str, tensor: Tensor) -> Tensor:
        in_order = tensor.permute(0, 2, 3, 1) if name in self._last else tensor
        return in_order.reshape(-1)

    def named(self, weights: Weights) -> dict[str, Tensor]:
        """Return the tensors of one job by their names; those of the parameters are views."""
        found: dict[str, Tensor] = {}
        for flat, group, sizes in zip(weights.params, self._groups, self._sizes, strict=True):
            for name, part in zip(group, torch.split(flat, sizes), strict=True):
                shape = self._shapes[name]
                if name in self._last:
                    channels, high, wide = shape[1:]
                    found[name] = part.view(-1, high, wide, channels).permute(0, 3, 1, 2)
                else:
                    found[name] = part.view(shape)
        return found | weights.others


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    """Return the parameters and buffers of a model by their names; a shared one has one name."""
    named = dict(model.named_parameters()) | dict(model.named_buffers())
    return {name: tensor.detach() for name, tensor in named.items()}


def changed_by_a_step(task: Task) -> set[str]:
    """Return the names of a model's tensors that a forward pass in training mode changes."""
    with seeded(0, task.device):
        model = task.model(0).train()
        before = {name: tensor.clone() for name, tensor in tensors_of(model).items()}
        task.loss_of(model, next(iter(task.batches(0, 1))))
    return {name for name, tensor in tensors_of(model).items() if not _same(tensor, before[name])}


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.allclose(one, other, rtol=0, atol=0, equal_nan=True)


def _is_channels_last(p: Tensor) -> bool:
    """Return whether a weight is channels last; with one channel, only the strides tell."""
    return p.dim() == 4 and p.stride() != torch.empty(p.shape, device="meta").stride()
