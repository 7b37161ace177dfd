"""Precision: train in bfloat16; weights and losses stay in float32."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from schedsearch.tasks.task import Task


class _Autocast(nn.Module):
    """A model whose matrix products and convolutions are computed in bfloat16."""

    def __init__(self, model: nn.Module, device_type: str) -> None:
        super().__init__()
        self.model = model
        self.device_type = device_type

    def forward(self, inputs: Tensor) -> Tensor:
        with torch.autocast(self.device_type, dtype=torch.bfloat16):
            outputs: Tensor = self.model(inputs)
        return outputs.float()


def in_bf16(task: Task) -> Task:
    """Return a task whose models compute in bfloat16 (torch's autocast).

    The precision changes the numbers of a training a little, so the study chooses it and no engine
    does.

    >>> from schedsearch.tasks.registry import load_task
    >>> task = in_bf16(load_task("digits"))
    >>> task.model(0)(task.train.inputs[:2]).dtype
    torch.float32
    """
    make, kind = task.make_model, task.device.type
    return replace(task, make_model=lambda: _Autocast(make(), kind))
