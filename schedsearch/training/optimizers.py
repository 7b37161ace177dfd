"""Any optimizer of torch.optim by its name, or one of the user's own by its import path."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from schedsearch.errors import ConfigError, unknown
from schedsearch.imports import import_path
from schedsearch.training.paired import Paired, divided

_UNFIT = ("LBFGS", "SparseAdam")  # LBFGS needs a closure, SparseAdam sparse gradients


def optimizer_names() -> list[str]:
    """Return the names of torch's optimizers that a study can name."""
    classes = (n for n in torch.optim.__all__ if isinstance(getattr(torch.optim, n), type))
    return sorted(n for n in classes if n not in (*_UNFIT, "Optimizer"))


@dataclass(frozen=True)
class OptimizerSpec:
    """An optimizer by name, with all arguments except the learning rate.

    Args:
        name: a class of torch.optim, or `"package.module:Class"`.
        args: its arguments.
        rest: another optimizer for all parameters that are no matrices, as Muon needs it; None: the
            optimizer has all parameters.
        rest_lr_factor: by what the rate of the rest is multiplied.

    Raises:
        ConfigError: an unknown name, or `lr` among the arguments.

    >>> spec = OptimizerSpec("SGD", {"momentum": 0.9})
    >>> spec.make([nn.Parameter(torch.zeros(1))], lr=0.1).defaults["momentum"]
    0.9
    """

    name: str = "SGD"
    args: Mapping[str, Any] = field(default_factory=lambda: {"momentum": 0.9})
    rest: "OptimizerSpec | None" = None
    rest_lr_factor: float = 1.0

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
        held = list(params)
        if self.rest is not None:
            return self._paired(self.rest, held, lr)
        return self._make(held, lr)

    def _paired(
        self, rest: "OptimizerSpec", held: Sequence[Any], lr: float
    ) -> torch.optim.Optimizer:
        groups = [each if isinstance(each, Mapping) else {"params": [each]} for each in held]
        mine, others = divided(groups, self.rest_lr_factor)
        if not mine or not others:
            alone, spec = (mine, self) if mine else (others, rest)
            return replace(spec, rest=None).make(alone, lr)
        return Paired(self._make(mine, lr), rest.make(others, lr))

    def _make(self, held: Sequence[Any], lr: float) -> torch.optim.Optimizer:
        make: Any = self.torch_class()
        args = {k: tuple(v) if isinstance(v, list) else v for k, v in self.args.items()}
        groups = [_with_rate(part, lr) if isinstance(part, Mapping) else part for part in held]
        try:
            optimizer: torch.optim.Optimizer = make(groups, lr=lr, **args)
        except (TypeError, ValueError, RuntimeError, KeyError, AssertionError) as error:
            raise ConfigError(f"optimizer {self.name} with {dict(self.args)}: {error}") from error
        return optimizer


def _with_rate(group: Mapping[str, Any], lr: float) -> dict[str, Any]:
    options = {name: value for name, value in group.items() if name not in ("lr_factor", "rest")}
    return options | {"lr": lr * group.get("lr_factor", 1.0)}
