"""Paired: two optimizers as one, each with parameters of its own: Muon beside AdamW, say."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class Paired(Optimizer):
    """Two optimizers that are stepped together, and whose groups one scheduler moves.

    The parameter groups are those of both optimizers, the very same dictionaries: a rate that a
    scheduler sets is the rate that the optimizer steps with.

    Args:
        first: an optimizer.
        second: another, of other parameters.

    >>> one, other = (torch.nn.Parameter(torch.ones(1)) for _ in range(2))
    >>> pair = Paired(torch.optim.SGD([one], lr=0.5), torch.optim.SGD([other], lr=0.25))
    >>> (one + other).backward()
    >>> pair.step()
    >>> one.item(), other.item()
    (0.5, 0.75)
    """

    def __init__(self, first: Optimizer, second: Optimizer) -> None:
        self.parts = (first, second)
        super().__init__([*first.param_groups, *second.param_groups], dict(first.defaults))

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Step both optimizers; a closure is called once, before."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Return the states of both optimizers."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the states of both optimizers."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self.parts for group in part.param_groups]


def divided(
    groups: Sequence[Mapping[str, Any]], rest_lr_factor: float
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Divide parameter groups between two optimizers: matrices, and all the rest.

    A group with `"rest": True` goes to the rest as a whole (embeddings, the output layer).

    Args:
        groups: dictionaries of "params" and other arguments.
        rest_lr_factor: by what the rate of the rest is multiplied.
    """
    matrices, rest = [], []
    for group in groups:
        options = {name: value for name, value in group.items() if name not in ("params", "rest")}
        params: list[Tensor] = list(group["params"])
        chosen = [p for p in params if p.dim() == 2 and not group.get("rest", False)]
        left = [p for p in params if not any(p is other for other in chosen)]
        if chosen:
            matrices.append(options | {"params": chosen})
        if left:
            factor = options.get("lr_factor", 1.0) * rest_lr_factor
            rest.append(options | {"params": left, "lr_factor": factor})
    return matrices, rest
