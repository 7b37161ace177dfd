"""Tasks with a mistake each, `"bad_tasks:NAME"`, and the line that each must be refused with."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from schedsearch import TaskSource
from schedsearch.tasks.metrics import Metric
from schedsearch.tasks.split import Split
from schedsearch.tasks.stream import Stream
from schedsearch.tasks.task import Data

ROWS, WIDTH, CLASSES = 96, 4, 3


def _examples() -> tuple[Tensor, Tensor]:
    inputs = torch.randn(ROWS, WIDTH, generator=torch.Generator().manual_seed(0))
    return inputs, inputs[:, :CLASSES].argmax(dim=1)


def _cut(inputs: Any, targets: Any, test: Any = None) -> Data:
    return Data(Split(inputs[:64], targets[:64]), Split(inputs[64:], targets[64:]), test)


def good_data(folder: Path | None = None) -> Data:
    """Return three classes of points."""
    return _cut(*_examples())


def linear() -> nn.Module:
    """Return a model that fits the data."""
    return nn.Linear(WIDTH, CLASSES)


GOOD = TaskSource("bad_tasks:GOOD", "a task without a mistake", {"linear": linear}, good_data)
BAD: dict[str, str] = {}


def _bad(name: str, line: str, **changes: Any) -> None:
    """Add a task that differs from the good one, and the line that must be said of it."""
    globals()[name] = replace(GOOD, name=f"bad_tasks:{name}", **changes)
    BAD[name] = f"task bad_tasks:{name}{line}"


def _models(make: Callable[[], Any]) -> dict[str, Callable[[], Any]]:
    return {"linear": make}


# --- data ----------------------------------------------------------------------------------------


def _with(change: Callable[[Tensor, Tensor], tuple[Any, Any]]) -> Callable[[Path | None], Data]:
    return lambda folder: _cut(*change(*_examples()))


def _set(targets: Tensor, row: int, value: int) -> Tensor:
    return targets.index_fill(0, torch.tensor([row]), value)


def _fails(*anything: object) -> Any:
    raise FileNotFoundError("no such file: points.csv")


def _with_test(change: Callable[[Tensor, Tensor], Split]) -> Callable[[Path | None], Data]:
    return lambda folder: _cut(*_examples(), change(*_examples()))


_bad(
    "NO_FILE",
    ": load() fails: FileNotFoundError: no such file: points.csv (bad_tasks.py, line N)",
    load=_fails,
)
_bad("NO_DATA", ": load() gives a tuple, not a schedsearch.Data", load=lambda folder: _examples())
_bad(
    "TUPLES",
    ": the training data are a tuple: give a Split, a map-style Dataset or a Stream",
    load=lambda folder: Data(_examples(), _examples()),  # type: ignore[arg-type]
)
_bad("EMPTY", ": a split has no examples", load=_with(lambda x, y: (x[:0], y[:0])))
_bad(
    "EMPTY_SET",
    ": the training data are empty",
    load=lambda folder: Data(TensorDataset(torch.zeros(0, 4)), TensorDataset(torch.zeros(0, 4))),
)
_bad(
    "LENGTHS",
    ": a split's inputs and targets don't fit together: tensors have different numbers of rows: "
    "48, 64",
    load=_with(lambda x, y: (x, y[:96:2])),
)
_bad(
    "LABELS_FROM_ONE",
    ": the training targets (1 to 3) don't fit outputs of shape [10, 3]: IndexError: Target 3 is "
    "out of bounds.",
    load=_with(lambda x, y: (x, y + 1)),
)
_bad(
    "ONE_LABEL_BELOW_ZERO",
    ": the training targets (-1 to 2) don't fit outputs of shape [10, 3]: IndexError: Target -1 is "
    "out of bounds.",
    load=_with(lambda x, y: (x, _set(y, 50, -1))),
)
_bad(
    "A_LABEL_OF_VALIDATION",
    ": the validation targets (0 to 7) don't fit outputs of shape [10, 3]: IndexError: Target 7 is "
    "out of bounds.",
    load=_with(lambda x, y: (x, _set(y, 95, 7))),
)
_bad(
    "A_TOKEN_TOO_FAR",
    ": the training inputs (0 to 11) don't fit the model: IndexError: index out of range in self",
    models=_models(lambda: nn.Sequential(nn.Embedding(11, 2), nn.Flatten(), nn.Linear(8, 3))),
    load=_with(lambda x, y: (_set(torch.arange(ROWS * WIDTH).view(ROWS, WIDTH) % 11, 50, 11), y)),
)
_bad(
    "TEST_WITHOUT_LABELS",
    ": the validation split has targets and the test split has none; a task without test labels "
    "says test=None",
    load=_with_test(lambda x, y: Split(x)),
)
_bad(
    "TEST_OF_OTHER_LABELS",
    ": the test split does not fit: a tensor of it is [N] float32, where the validation split has "
    "[N] int64",
    load=_with_test(lambda x, y: Split(x, y.float())),
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
    models=_models(lambda: nn.Linear(5, 3)),
)
_bad(
    "MODEL_CANNOT_BE_MADE",
    ": the model 'linear' can't be made: TypeError: linear() got an unexpected keyword argument "
    "'width' (bad_tasks.py, line N)",
    models=_models(_no_such_layer),
)
_bad(
    "NO_MODULE",
    ": the model 'linear' is a function, not a torch.nn.Module",
    models=_models(lambda: linear),
)
_bad(
    "MODEL_GIVES_A_LIST",
    ": the model 'linear' gives a list, with no tensor in it",
    models=_models(lambda: _Scores(WIDTH, CLASSES)),
)
_bad("FROZEN", ": the model 'linear' has no parameter that is trained", models=_models(_Frozen))

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
    load=_with(lambda x, y: (x.index_fill(0, torch.tensor([3]), float("nan")), y)),
)
_bad(
    "GRADIENT_IS_NAN",
    ": the gradient of weight is not finite on the first training batch",
    loss=lambda outputs, targets: (outputs * 0).sum().abs().sqrt(),
)

# --- metrics, groups, augmentation, target -------------------------------------------------------


def _metric(function: Callable[[Any, Any], Any]) -> list[Metric]:
    return [Metric("score", "maximize", function)]


def _one_group(model: nn.Module) -> list[dict[str, Any]]:
    return [{"params": [next(iter(model.parameters()))]}]


def _wrong_group(model: Any) -> list[dict[str, Any]]:
    return [{"params": model.encoder.parameters()}]


_bad(
    "METRIC_MISSPELT",
    ": unknown metric 'acuracy': did you mean 'accuracy'? (allowed: accuracy, token_accuracy, "
    "perplexity, macro_f1, r2, mae)",
    metrics=["acuracy"],
)
_bad(
    "METRIC_FAILS",
    ": the metric 'score' fails on outputs [32, 3] and targets [32] of 0 to 2: FileNotFoundError: "
    "no such file: points.csv (bad_tasks.py, line N)",
    metrics=_metric(_fails),
)
_bad(
    "METRIC_OF_OTHER_OUTPUTS",
    ": the metric 'r2' fails on outputs [32, 3] and targets [32] of 0 to 2: ValueError: outputs "
    "and targets have different shapes: [32, 3] and [32]",
    metrics=["r2"],
)
_bad(
    "METRIC_IS_A_DICTIONARY",
    ": the metric 'score' gives a dict, not a number",
    metrics=_metric(lambda outputs, targets: {"f1": 0.5}),
)
_bad(
    "METRIC_IS_A_VECTOR",
    ": the metric 'score' gives a tensor of shape [32], not one number",
    metrics=_metric(lambda outputs, targets: outputs.argmax(dim=1) == targets),
)
_bad(
    "METRIC_IS_NAN",
    ": the metric 'score' is nan on the validation split, for the untrained model: it must be a "
    "number there too",
    metrics=_metric(lambda outputs, targets: float("nan")),
)
_bad(
    "TARGET_MISSPELT",
    ": unknown value in the target 'val_acuracy': did you mean 'val_accuracy'? (allowed: val_loss, "
    "val_accuracy)",
    target=("val_acuracy", 0.9),
)
_bad(
    "GROUPS_LEAVE_ONE_OUT",
    ": groups(model) must hold each parameter that is trained once: there are 2, the groups hold 1 "
    "(1 of them different)",
    groups=_one_group,
)
_bad(
    "GROUPS_FAIL",
    ": groups(model) fails: AttributeError: 'Linear' object has no attribute 'encoder' "
    "(bad_tasks.py, line N)",
    groups=_wrong_group,
)
_bad(
    "AUGMENT_FAILS",
    ": augment(batch) fails on a batch of inputs [64, 4]: FileNotFoundError: no such file: "
    "points.csv (bad_tasks.py, line N)",
    augment=_fails,
)
_bad(
    "AUGMENT_GIVES_INPUTS",
    ": augment(batch) gives a Tensor, not a Batch(inputs, targets)",
    augment=lambda batch: batch.inputs,
)

# --- streams -------------------------------------------------------------------------------------


class _Short:
    """A loader that gives fewer batches than it says."""

    def __len__(self) -> int:
        return 4

    def __iter__(self) -> Iterator[Any]:
        yield from DataLoader(_rows(), batch_size=32)


class _Endless(IterableDataset[Any]):
    """Examples without a number."""

    def __iter__(self) -> Iterator[Any]:
        yield from iter(DataLoader(_rows(), batch_size=None))


class _Broken(Dataset[Any]):
    """A data set with an example that cannot be read."""

    def __len__(self) -> int:
        return 64

    def __getitem__(self, row: int) -> Any:
        if row == 5:
            raise OSError("picture 5 is truncated")
        return torch.zeros(WIDTH), 0


def _rows() -> TensorDataset:
    inputs, targets = _examples()
    return TensorDataset(inputs[:64], targets[:64])


def _streamed(loader: Callable[[int], Any]) -> Callable[[Path | None], Data]:
    return lambda folder: Data(Stream(loader), good_data().validation)


_bad(
    "LOADER_INSTEAD_OF_A_STREAM",
    ": the training data are a DataLoader: give Stream(lambda seed: DataLoader(...))",
    load=lambda folder: Data(DataLoader(_rows()), _rows()),  # type: ignore[arg-type]
)
_bad(
    "LOADER_ENDS_EARLY",
    ": the training data: a loader ended after 2 of 4 batches: its len() does not say how many it "
    "gives",
    load=_streamed(lambda seed: _Short()),
)
_bad(
    "LOADER_WITHOUT_LENGTH",
    ": the training data: a loader, DataLoader, has no len(), so no epoch: give a DataLoader of a "
    "map-style data set, or an object with __len__, the batches of an epoch",
    load=_streamed(lambda seed: DataLoader(_Endless(), batch_size=8)),
)
_bad(
    "LOADER_FAILS",
    ": a loader fails at batch 1: OSError: picture 5 is truncated (bad_tasks.py, line N)",
    load=_streamed(lambda seed: DataLoader(_Broken(), batch_size=8)),
)
_bad(
    "LOADER_LARGER_THAN_THE_DATA",
    ": a loader gives no batch: it has fewer examples than a batch",
    load=_streamed(lambda seed: DataLoader(_rows(), batch_size=128, drop_last=True)),
)
_bad(
    "LOADER_OF_ANOTHER_ORDER",
    ": the training data: two passes with one seed give other batches: the order does not follow "
    "from the seed; give the DataLoader generator=torch.Generator().manual_seed(seed)",
    load=_streamed(lambda seed: DataLoader(_rows(), batch_size=8, shuffle=True)),
)

# --- tasks that are right, though they look odd --------------------------------------------------


class _Noisy(Dataset[Any]):
    """A data set that augments its examples, from torch's global random numbers."""

    def __len__(self) -> int:
        return 64

    def __getitem__(self, row: int) -> Any:
        inputs, targets = _examples()
        return inputs[row] + 0.1 * torch.randn(WIDTH), targets[row]


def _shuffled(dataset: Dataset[Any]) -> Callable[[int], DataLoader[Any]]:
    def loader(seed: int) -> DataLoader[Any]:
        generator = torch.Generator().manual_seed(seed)
        return DataLoader(dataset, batch_size=16, shuffle=True, generator=generator)

    return loader


def _strict(outputs: Tensor, targets: Tensor) -> float:
    """Refuse what is not finite, as metrics of other libraries do; and one class alone."""
    if not torch.isfinite(outputs).all():
        raise ValueError("Input contains NaN.")
    return float((outputs.argmax(dim=1) == targets).float().mean())


AUGMENTED = replace(GOOD, name="bad_tasks:AUGMENTED", load=_streamed(_shuffled(_Noisy())))
IN_ORDER = replace(
    GOOD,
    name="bad_tasks:IN_ORDER",
    load=_streamed(lambda seed: DataLoader(_rows(), batch_size=16)),
)
STRICT_METRIC = replace(
    GOOD, name="bad_tasks:STRICT_METRIC", metrics=[Metric("strict", "maximize", _strict)]
)
PADDED = replace(GOOD, name="bad_tasks:PADDED", load=_with(lambda x, y: (x, _set(y, 5, -100))))
REGRESSION = replace(
    GOOD,
    name="bad_tasks:REGRESSION",
    models=_models(lambda: nn.Linear(WIDTH, 1)),
    load=_with(lambda x, y: (x, x[:, :1] * 2)),
    loss=mse_loss,
    metrics=["r2"],
)
ODD = ("GOOD", "AUGMENTED", "IN_ORDER", "STRICT_METRIC", "PADDED", "REGRESSION")
