"""METRICS: what a task reports beside its loss. To add one, add its record here."""

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from schedsearch.errors import ConfigError
from schedsearch.named import find_named
from schedsearch.tasks.tree import Tree, leaves

Loss: TypeAlias = Callable[[Any, Any], Tensor]
"""Returns one number for outputs and targets."""

Direction: TypeAlias = Literal["minimize", "maximize"]
LOSS = "loss"  # the name of the loss among what is measured
IGNORED = -100  # a target that does not count: torch's own ignore_index


@dataclass(frozen=True)
class Metric:
    """A number that says how well a model does on a split.

    Args:
        name: its name, a word such as "macro_f1"; it is stored as `val_macro_f1`.
        direction: "minimize" or "maximize".
        function: returns the number, as a tensor or a float, for the outputs and the targets of a
            whole split at once.
        words: its name in a sentence (default: the name, with spaces).
        worst: a value that none is worse than, where there is one: 0 for an accuracy.
        weight: by what the values of two pieces of a split are averaged, a function of the outputs
            and targets of a piece; needed only where a split's outputs do not fit into memory.
        finish: what is made of that average (default: nothing).
        best: a value that none is better than, where there is one: 1 for an accuracy.

    Raises:
        ConfigError: a name that is no word, or no such direction.

    >>> Metric("hits", "maximize", lambda outputs, targets: (outputs > targets).sum()).words
    'hits'
    """

    name: str
    direction: Direction
    function: Callable[[Any, Any], Any]
    words: str = ""
    worst: float | None = None
    weight: Callable[[Any, Any], Any] | None = None
    finish: Callable[[Tensor], Tensor] | None = None
    best: float | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", self.name):
            raise ConfigError(
                f"a metric cannot be named {self.name!r}: a word of letters, digits and underscores"
            )
        if self.direction not in ("minimize", "maximize"):
            raise ConfigError(
                f"metric {self.name}: direction = {self.direction!r} is not allowed: it is "
                "'minimize' or 'maximize'"
            )
        object.__setattr__(self, "words", self.words or self.name.replace("_", " "))

    @property
    def is_share(self) -> bool:
        """Whether it is a fraction from 0 to 1, which is shown in percent."""
        return {self.worst, self.best} == {0.0, 1.0}

    def value(self, outputs: Tree, targets: Tree) -> Tensor:
        """Return the metric of all outputs and targets, a tensor without dimensions.

        A function that refuses outputs which are not finite gives nan for them.

        Raises:
            ConfigError: the function gives no number.
        """
        try:
            found = self.function(outputs, targets)
        except Exception:
            if all(bool(torch.isfinite(tensor).all()) for tensor in leaves(outputs)):
                raise
            found = math.nan
        value = self._number(found).detach().float()
        return value if self.finish is None else self.finish(value)

    def _number(self, found: object) -> Tensor:
        if isinstance(found, Tensor):
            if found.numel() != 1:
                shape = list(found.shape)
                raise ConfigError(f"{self} gives a tensor of shape {shape}, not one number")
            return found.reshape(())
        try:
            return torch.tensor(float(found))  # type: ignore[arg-type]
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{self} gives a {type(found).__name__}, not a number") from error

    def __str__(self) -> str:
        return "the loss" if self.name == LOSS else f"the metric {self.name!r}"


def _counts(targets: Tensor) -> Tensor:
    return (targets != IGNORED).sum()


def _share(predicted: Tensor, targets: Tensor) -> Tensor:
    right = ((predicted == targets) & (targets != IGNORED)).sum()
    return right / _counts(targets)


def _accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    return _share(outputs.argmax(dim=1), targets)


def _token_accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    return _share(outputs.argmax(dim=-1), targets)


def _token_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    return cross_entropy(outputs.flatten(0, -2), targets.flatten(), ignore_index=IGNORED)


def _macro_f1(outputs: Tensor, targets: Tensor) -> Tensor:
    classes = torch.arange(outputs.shape[1], device=outputs.device)
    known = (targets != IGNORED).unsqueeze(-1)
    said = (outputs.argmax(dim=1).unsqueeze(-1) == classes) & known
    true = (targets.unsqueeze(-1) == classes) & known
    said, true = said.flatten(0, -2), true.flatten(0, -2)
    both, either = 2 * (said & true).sum(dim=0), said.sum(dim=0) + true.sum(dim=0)
    return (both / either.clamp(min=1)).sum() / (either > 0).sum()


def _same_shape(outputs: Tensor, targets: Tensor) -> None:
    if outputs.shape != targets.shape:
        shapes = f"{list(outputs.shape)} and {list(targets.shape)}"
        raise ValueError(f"outputs and targets have different shapes: {shapes}")


def _r2(outputs: Tensor, targets: Tensor) -> Tensor:
    _same_shape(outputs, targets)
    left = (targets - outputs).square().sum(dim=0)
    spread = (targets - targets.mean(dim=0)).square().sum(dim=0)
    return (1 - left / spread).mean()


def _mae(outputs: Tensor, targets: Tensor) -> Tensor:
    _same_shape(outputs, targets)
    return (outputs - targets).abs().mean()


def _numbers(outputs: Tensor, targets: Tensor) -> int:
    return targets.numel()


def _of_targets(outputs: Tensor, targets: Tensor) -> Tensor:
    return _counts(targets)


METRICS: tuple[Metric, ...] = (
    Metric("accuracy", "maximize", _accuracy, worst=0.0, best=1.0, weight=_of_targets),
    Metric("token_accuracy", "maximize", _token_accuracy, worst=0.0, best=1.0, weight=_of_targets),
    Metric("perplexity", "minimize", _token_loss, weight=_of_targets, finish=torch.exp, best=1.0),
    Metric("macro_f1", "maximize", _macro_f1, "macro F1", worst=0.0, best=1.0),
    Metric("r2", "maximize", _r2, "R²", best=1.0),
    Metric("mae", "minimize", _mae, "mean absolute error", weight=_numbers, best=0.0),
)
"""The ready metrics. Targets of -100 do not count.

accuracy: classes are the second dimension of the outputs, as in torch's cross_entropy.
token_accuracy, perplexity: classes are the last dimension, outputs `[N, T, C]`, targets `[N, T]`.
macro_f1: the mean over the classes that occur, as scikit-learn's f1_score(average="macro").
r2, mae: outputs and targets of one shape; r2 is the mean over columns.
"""


def metrics_of(wishes: Iterable[object]) -> tuple[Metric, ...]:
    """Return the metrics that a task names: names of METRICS, metrics, metrics of torchmetrics.

    Raises:
        ConfigError: an unknown name, two of one name, or something else.

    >>> [metric.direction for metric in metrics_of(["accuracy", "mae"])]
    ['maximize', 'minimize']
    """
    found = tuple(_metric_of(wish) for wish in wishes)
    names = [metric.name for metric in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"a task has two metrics named {twice!r}")
    if LOSS in names:
        raise ConfigError("a metric cannot be named 'loss': every task reports its loss")
    return found


def _metric_of(wish: object) -> Metric:
    if isinstance(wish, Metric):
        return wish
    if isinstance(wish, str):
        return find_named("metric", wish, METRICS)
    if all(hasattr(wish, name) for name in ("update", "compute", "reset", "higher_is_better")):
        return _of_torchmetrics(wish)
    shown = getattr(wish, "__name__", repr(wish))
    raise ConfigError(
        f"{shown} is no metric: give schedsearch.Metric(name, direction, function), a name of "
        f"{', '.join(metric.name for metric in METRICS)}, or a metric of torchmetrics"
    )


def _of_torchmetrics(metric: Any) -> Metric:
    kind = type(metric).__name__
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind).lower()
    if metric.higher_is_better is None:
        raise ConfigError(f"{kind} does not say whether a higher value is better: give a Metric")

    def function(outputs: Any, targets: Any) -> Any:
        mine = metric.clone()
        mine.to(cast("Tensor", outputs).device)
        mine.reset()
        mine.update(outputs, targets)
        return mine.compute()

    low, high = (getattr(metric, f"plot_{end}_bound", None) for end in ("lower", "upper"))
    if metric.higher_is_better:
        return Metric(name, "maximize", function, worst=low, best=high)
    return Metric(name, "minimize", function, worst=high, best=low)


def default_metrics(outputs: Tree, targets: Tree) -> tuple[Metric, ...]:
    """Return what a task reports that names nothing: an accuracy where the targets are classes.

    >>> [m.name for m in default_metrics(torch.zeros(4, 3), torch.zeros(4, dtype=torch.long))]
    ['accuracy']
    >>> default_metrics(torch.zeros(4, 1), torch.zeros(4, 1))
    ()
    """
    if not (isinstance(outputs, Tensor) and isinstance(targets, Tensor)):
        return ()
    classes = not targets.is_floating_point() and targets.dtype != torch.bool
    if not classes or not outputs.is_floating_point() or outputs.dim() != targets.dim() + 1:
        return ()
    second = outputs.shape[2:] == targets.shape[1:] and len(outputs) == len(targets)
    last = outputs.shape[:-1] == targets.shape
    if second and (targets.dim() == 1 or not last):
        return (find_named("metric", "accuracy", METRICS),)
    if last and not second:
        return (find_named("metric", "token_accuracy", METRICS),)
    return ()
