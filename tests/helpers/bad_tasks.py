"""Tasks with a mistake in data, model or loss, and the line that each must be refused with."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import TensorDataset

from schedsearch import TaskSource
from schedsearch.tasks.split import Split
from schedsearch.tasks.task import Data

ROWS, WIDTH, CLASSES = 96, 4, 3


def examples() -> tuple[Tensor, Tensor]:
    inputs = torch.randn(ROWS, WIDTH, generator=torch.Generator().manual_seed(0))
    return inputs, inputs[:, :CLASSES].argmax(dim=1)


def cut(inputs: Any, targets: Any, test: Any = None) -> Data:
    return Data(Split(inputs[:64], targets[:64]), Split(inputs[64:], targets[64:]), test)


def good_data(folder: Path | None = None) -> Data:
    """Return three classes of points."""
    return cut(*examples())


def linear() -> nn.Module:
    """Return a model that fits the data."""
    return nn.Linear(WIDTH, CLASSES)


GOOD = TaskSource("bad_tasks:GOOD", "a task without a mistake", {"linear": linear}, good_data)
BAD: dict[str, str] = {}
"""What must be said of each bad task, here and in `bad_parts`."""


def bad(module: dict[str, Any], name: str, line: str, **changes: Any) -> None:
    """Add a task that differs from the good one, and the line that must be said of it.

    Args:
        module: where it is added: the globals of a module.
        name: its name there.
        line: what must be said of it, behind the task's name.
        changes: in what it differs.
    """
    path = f"{module['__name__']}:{name}"
    module[name], BAD[path] = replace(GOOD, name=path, **changes), f"task {path}{line}"


_bad = partial(bad, globals())


def models(make: Callable[[], Any]) -> dict[str, Callable[[], Any]]:
    return {"linear": make}


# --- data ----------------------------------------------------------------------------------------


def of_examples(
    change: Callable[[Tensor, Tensor], tuple[Any, Any]],
) -> Callable[[Path | None], Data]:
    return lambda folder: cut(*change(*examples()))


def with_value(targets: Tensor, row: int, value: int) -> Tensor:
    return targets.index_fill(0, torch.tensor([row]), value)


def fails(*anything: object) -> Any:
    raise FileNotFoundError("no such file: points.csv")


def with_test(change: Callable[[Tensor, Tensor], Split]) -> Callable[[Path | None], Data]:
    return lambda folder: cut(*examples(), change(*examples()))


_bad(
    "NO_FILE",
    ": load() fails: FileNotFoundError: no such file: points.csv (bad_tasks.py, line N)",
    load=fails,
)
_bad("NO_DATA", ": load() gives a tuple, not a schedsearch.Data", load=lambda folder: examples())
_bad(
    "TUPLES",
    ": the training data are a tuple: give a Split, a map-style Dataset or a Stream",
    load=lambda folder: Data(examples(), examples()),  # type: ignore[arg-type]
)
_bad("EMPTY", ": a split has no examples", load=of_examples(lambda x, y: (x[:0], y[:0])))
_bad(
    "EMPTY_SET",
    ": the training data are empty",
    load=lambda folder: Data(TensorDataset(torch.zeros(0, 4)), TensorDataset(torch.zeros(0, 4))),
)
_bad(
    "LENGTHS",
    ": a split's inputs and targets don't fit together: tensors have different numbers of rows: "
    "48, 64",
    load=of_examples(lambda x, y: (x, y[:96:2])),
)
_bad(
    "LABELS_FROM_ONE",
    ": the training targets (1 to 3) don't fit outputs of shape [10, 3]: IndexError: Target 3 is "
    "out of bounds.",
    load=of_examples(lambda x, y: (x, y + 1)),
)
_bad(
    "ONE_LABEL_BELOW_ZERO",
    ": the training targets (-1 to 2) don't fit outputs of shape [10, 3]: IndexError: Target -1 is "
    "out of bounds.",
    load=of_examples(lambda x, y: (x, with_value(y, 50, -1))),
)
_bad(
    "A_LABEL_OF_VALIDATION",
    ": the validation targets (0 to 7) don't fit outputs of shape [10, 3]: IndexError: Target 7 is "
    "out of bounds.",
    load=of_examples(lambda x, y: (x, with_value(y, 95, 7))),
)
_bad(
    "A_TOKEN_TOO_FAR",
    ": the training inputs (0 to 11) don't fit the model: IndexError: index out of range in self",
    models=models(lambda: nn.Sequential(nn.Embedding(11, 2), nn.Flatten(), nn.Linear(8, 3))),
    load=of_examples(
        lambda x, y: (with_value(torch.arange(ROWS * WIDTH).view(ROWS, WIDTH) % 11, 50, 11), y)
    ),
)
_bad(
    "TEST_WITHOUT_LABELS",
    ": the validation split has targets and the test split has none; a task without test labels "
    "says test=None",
    load=with_test(lambda x, y: Split(x)),
)
_bad(
    "TEST_OF_OTHER_LABELS",
    ": the test split does not fit: a tensor of it is [N] float32, where the validation split has "
    "[N] int64",
    load=with_test(lambda x, y: Split(x, y.float())),
)

# --- the model -----------------------------------------------------------------------------------


class _Scores(nn.Linear):
    """A model that gives no tensor."""

    def forward(self, input: Tensor) -> Any:
        return super().forward(input).tolist()


def _no_such_layer() -> nn.Module:
    raise TypeError("linear() got an unexpected keyword argument 'width'")


class _Frozen(nn.Linear):
    def __init__(self) -> None:
        super().__init__(WIDTH, CLASSES)
        self.requires_grad_(requires_grad=False)


_bad(
    "MODEL_DOES_NOT_FIT",
    ": the model 'linear' fails on inputs [8, 4]: RuntimeError: mat1 and mat2 shapes cannot be "
    "multiplied (8x4 and 5x3)",
    models=models(lambda: nn.Linear(5, 3)),
)
_bad(
    "MODEL_CANNOT_BE_MADE",
    ": the model 'linear' can't be made: TypeError: linear() got an unexpected keyword argument "
    "'width' (bad_tasks.py, line N)",
    models=models(_no_such_layer),
)
_bad(
    "NO_MODULE",
    ": the model 'linear' is a function, not a torch.nn.Module",
    models=models(lambda: linear),
)
_bad(
    "MODEL_GIVES_A_LIST",
    ": the model 'linear' gives a list, with no tensor in it",
    models=models(lambda: _Scores(WIDTH, CLASSES)),
)
_bad("FROZEN", ": the model 'linear' has no parameter that is trained", models=models(_Frozen))

# --- the loss ------------------------------------------------------------------------------------

_SHAPES = "outputs [64, 3] and targets [64] of 0 to 2"


def _of_other_shape(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets).square().mean()


def _nan(outputs: Tensor, targets: Tensor) -> Tensor:
    return cross_entropy(outputs, targets) + (outputs.sum() * 0).log() * 0


def _hits(outputs: Tensor, targets: Tensor) -> Tensor:
    return -(outputs.argmax(dim=1) == targets).float().mean()


def _of_targets_alone(outputs: Tensor, targets: Tensor) -> Tensor:
    return torch.ones((), requires_grad=True) * targets.float().mean()


_bad(
    "LOSS_DOES_NOT_FIT",
    f": the loss fails on {_SHAPES}: RuntimeError: The size of tensor a (3) must match the size of "
    "tensor b (64) at non-singleton dimension 1 (bad_tasks.py, line N)",
    loss=_of_other_shape,
)
_bad(
    "LOSS_IS_A_CLASS",
    f": the loss fails on {_SHAPES} (give an instance, CrossEntropyLoss(), not the class): "
    "RuntimeError: Boolean value of Tensor with more than one value is ambiguous",
    loss=nn.CrossEntropyLoss,
)
_bad(
    "LOSS_IS_A_VECTOR",
    ": the loss gives a tensor of shape [64], not one number: take its mean",
    loss=partial(cross_entropy, reduction="none"),
)
_bad(
    "TRAIN_LOSS_IS_A_VECTOR",
    ": the train_loss gives a tensor of shape [64], not one number: take its mean",
    train_loss=nn.CrossEntropyLoss(reduction="none"),
)
_bad(
    "LOSS_IS_A_FLOAT",
    ": the loss gives a float, not a tensor",
    loss=lambda outputs, targets: cross_entropy(outputs, targets).item(),
)
_bad(
    "LOSS_OF_NO_GRADIENT",
    ": the loss has no gradient: it must be computed by torch from the outputs, without detach(), "
    "item(), argmax or no_grad",
    loss=_hits,
)
_bad(
    "LOSS_OF_TARGETS_ALONE",
    ": the loss does not depend on any parameter of the model",
    loss=_of_targets_alone,
)
_bad("LOSS_IS_NAN", ": the loss is nan on the first training batch, before any step", loss=_nan)
_bad(
    "INPUTS_ARE_NAN",
    ": the loss is nan on the first training batch, before any step: the inputs hold nan or "
    "infinity",
    load=of_examples(lambda x, y: (x.index_fill(0, torch.tensor([3]), float("nan")), y)),
)
_bad(
    "GRADIENT_IS_NAN",
    ": the gradient of weight is not finite on the first training batch",
    loss=lambda outputs, targets: (outputs * 0).sum().abs().sqrt(),
)
