"""Any optimizer of torch.optim by its name, or one of the user's own by its import path."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from schedsearch.errors import ConfigError, unknown
from schedsearch.imports import import_path

_UNFIT = ("LBFGS", "SparseAdam")  # LBFGS needs a closure, SparseAdam sparse gradients


def optimizer_names() -> list[str]:
    """Return the names of torch's optimizers that a study can name."""
    classes = (n for n in torch.optim.__all__ if isinstance(getattr(torch.optim, n), type))
    return sorted(n for n in classes if n not in (*_UNFIT, "Optimizer"))


@dataclass(frozen=True)
class OptimizerSpec:
    """An optimizer by name, with all arguments except the learning rate.

    Raises:
        ConfigError: an unknown name, or `lr` among the arguments.

    >>> spec = OptimizerSpec("SGD", {"momentum": 0.9})
    >>> spec.make([nn.Parameter(torch.zeros(1))], lr=0.1).defaults["momentum"]
    0.9
    """

    name: str = "SGD"
    args: Mapping[str, Any] = field(default_factory=lambda: {"momentum": 0.9})

    def __post_init__(self) -> None:
        if "lr" in self.args:
            raise ConfigError("optimizer_args must not hold lr: the schedule's peak_lr is the rate")
        self.torch_class()

    def torch_class(self) -> type[torch.optim.Optimizer]:
        """Return the optimizer class of the name."""
        found: object
        if ":" in self.name:
            found = import_path(self.name, "optimizer")
        elif self.name in optimizer_names():
            found = getattr(torch.optim, self.name)
        else:
            raise ConfigError(unknown("optimizer", self.name, optimizer_names()))
        if not (isinstance(found, type) and issubclass(found, torch.optim.Optimizer)):
            raise ConfigError(f"optimizer {self.name!r} is not a class of torch optimizers")
        return found

    def make(
        self, params: Iterable[nn.Parameter] | Iterable[Mapping[str, Any]], lr: float
    ) -> torch.optim.Optimizer:
        """Return the optimizer of some parameters, with a learning rate.

        Args:
            params: parameters; or groups, dictionaries of "params", of "lr_factor", by which the
                rate is multiplied, and of other arguments.
            lr: the learning rate.

        Raises:
            ConfigError: arguments that the optimizer does not take.

        >>> groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr_factor": 0.5}]
        >>> OptimizerSpec().make(groups, lr=0.1).param_groups[0]["lr"]
        0.05
        """
        make: Any = self.torch_class()
        args = {k: tuple(v) if isinstance(v, list) else v for k, v in self.args.items()}
        held = [_with_rate(part, lr) if isinstance(part, Mapping) else part for part in params]
        try:
            optimizer: torch.optim.Optimizer = make(held, lr=lr, **args)
        except (TypeError, ValueError, RuntimeError, KeyError, AssertionError) as error:
            raise ConfigError(f"optimizer {self.name} with {dict(self.args)}: {error}") from error
        return optimizer


def _with_rate(group: Mapping[str, Any], lr: float) -> dict[str, Any]:
    rest = {name: value for name, value in group.items() if name != "lr_factor"}
    return rest | {"lr": lr * group.get("lr_factor", 1.0)}
