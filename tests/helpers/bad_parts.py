"""Tasks with a mistake in metrics, groups, augmentation or loaders, and the line of each."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from bad_tasks import WIDTH, bad, examples, fails, good_data
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from schedsearch.tasks.metrics import Metric
from schedsearch.tasks.stream import Stream
from schedsearch.tasks.task import Data

_bad = partial(bad, globals())

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
    metrics=_metric(fails),
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
    "(bad_parts.py, line N)",
    groups=_wrong_group,
)
_bad(
    "AUGMENT_FAILS",
    ": augment(batch) fails on a batch of inputs [64, 4]: FileNotFoundError: no such file: "
    "points.csv (bad_tasks.py, line N)",
    augment=fails,
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
        yield from DataLoader(rows(), batch_size=32)


class _Endless(IterableDataset[Any]):
    """Examples without a number."""

    def __iter__(self) -> Iterator[Any]:
        yield from iter(DataLoader(rows(), batch_size=None))


class _Broken(Dataset[Any]):
    """A data set with an example that cannot be read."""

    def __len__(self) -> int:
        return 64

    def __getitem__(self, row: int) -> Any:
        if row == 5:
            raise OSError("picture 5 is truncated")
        return torch.zeros(WIDTH), 0


def rows() -> TensorDataset:
    inputs, targets = examples()
    return TensorDataset(inputs[:64], targets[:64])


def streamed(loader: Callable[[int], Any]) -> Callable[[Path | None], Data]:
    return lambda folder: Data(Stream(loader), good_data().validation)


_bad(
    "LOADER_INSTEAD_OF_A_STREAM",
    ": the training data are a DataLoader: give Stream(lambda seed: DataLoader(...))",
    load=lambda folder: Data(DataLoader(rows()), rows()),  # type: ignore[arg-type]
)
_bad(
    "LOADER_ENDS_EARLY",
    ": the training data: a loader ended after 2 of 4 batches: its len() does not say how many it "
    "gives",
    load=streamed(lambda seed: _Short()),
)
_bad(
    "LOADER_WITHOUT_LENGTH",
    ": the training data: a loader, DataLoader, has no len(), so no epoch: give a DataLoader of a "
    "map-style data set, or an object with __len__, the batches of an epoch",
    load=streamed(lambda seed: DataLoader(_Endless(), batch_size=8)),
)
_bad(
    "LOADER_FAILS",
    ": a loader fails at batch 1: OSError: picture 5 is truncated (bad_parts.py, line N)",
    load=streamed(lambda seed: DataLoader(_Broken(), batch_size=8)),
)
_bad(
    "EXAMPLE_FAILS",
    ": the validation data can't be read: OSError: picture 5 is truncated (bad_parts.py, line N)",
    load=lambda folder: Data(good_data().train, _Broken()),
)
_bad(
    "LOADER_LARGER_THAN_THE_DATA",
    ": a loader gives no batch: it has fewer examples than a batch",
    load=streamed(lambda seed: DataLoader(rows(), batch_size=128, drop_last=True)),
)
_bad(
    "LOADER_OF_ANOTHER_ORDER",
    ": the training data: two passes with one seed give other batches: the order does not follow "
    "from the seed; give the DataLoader generator=torch.Generator().manual_seed(seed)",
    load=streamed(lambda seed: DataLoader(rows(), batch_size=8, shuffle=True)),
)
