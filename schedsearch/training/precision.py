"""Precision: train in bfloat16; weights and losses stay in float32."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from schedsearch.tasks.task import Task
from schedsearch.tasks.tree import map_tensors


class _Autocast(nn.Module):
    """A model whose matrix products and convolutions are computed in bfloat16."""

    def __init__(self, model: nn.Module, device_type: str) -> None:
        super().__init__()
        self.model = model
        self.device_type = device_type

    def forward(self, *args: Any, **named: Any) -> Any:
        with torch.autocast(self.device_type, dtype=torch.bfloat16):
            outputs = self.model(*args, **named)
        return map_tensors(_widened, outputs)


def _widened(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def in_bf16(task: Task) -> Task:
    """Return a task whose models compute in bfloat16 (torch's autocast).

    The precision changes the numbers of a training a little, so the study chooses it and no engine
    does.

    >>> from schedsearch.tasks.registry import load_task
    >>> task = in_bf16(load_task("digits"))
    >>> task.model(0)(task.train.inputs[:2]).dtype
    torch.float32
    """
    make, kind, groups = task.make_model, task.device.type, task.groups

    def make_wrapped() -> nn.Module:
        return _Autocast(make(), kind)

    def groups_of_wrapped(wrapped: nn.Module) -> Sequence[Mapping[str, Any]]:
        assert groups is not None
        assert isinstance(wrapped, _Autocast)
        return groups(wrapped.model)

    wrapped_groups = None if groups is None else groups_of_wrapped
    return replace(task, make_model=make_wrapped, groups=wrapped_groups)
