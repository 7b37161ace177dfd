"""Stream: examples that are read while a model trains, by torch's DataLoader."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import torch
from torch.utils.data import DataLoader, Dataset, TensorDataset

from schedsearch.errors import DataError
from schedsearch.tasks.split import Batch, Split
from schedsearch.tasks.tree import leaves, map_tensors
from schedsearch.tasks.user_code import asking

_END = object()
Loader: TypeAlias = Callable[[int], Iterable[Any]]


@dataclass(frozen=True, eq=False)
class Stream:
    """Examples that do not lie in memory: a new DataLoader for each epoch.

    Args:
        loader: returns the batches of one epoch for a seed, which alone decides their order:
            `lambda seed: DataLoader(dataset, batch_size=64, shuffle=True, drop_last=True,
            num_workers=2, pin_memory=True, generator=torch.Generator().manual_seed(seed))`. A batch
            is a pair of inputs and targets, or a dictionary, which is both.
        device: where batches are sent.
    """

    loader: Loader
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def to(self, device: torch.device) -> "Stream":
        """Return the stream with its batches sent to a device."""
        return Stream(self.loader, device)

    @cached_property
    def batches_per_epoch(self) -> int:
        """The number of batches of an epoch.

        Raises:
            DataError: a loader without a length, or of no batch.
        """
        loader = self.made(0)
        try:
            count = len(loader)  # type: ignore[arg-type]
        except (TypeError, NotImplementedError) as error:  # of an iterable data set
            raise DataError(
                f"a loader, {type(loader).__name__}, has no len(), so no epoch: give a DataLoader "
                "of a map-style data set, or an object with __len__, the batches of an epoch"
            ) from error
        if not count:
            raise DataError("a loader gives no batch: it has fewer examples than a batch")
        return count

    def made(self, seed: int) -> Iterable[Any]:
        """Return the loader of a seed.

        Raises:
            ConfigError: the function fails.
            DataError: it returns nothing that gives batches.
        """
        with asking("a stream's loader(seed) fails"):
            made = self.loader(seed)
        if not isinstance(made, Iterable):
            raise DataError(f"a stream's loader(seed) gives a {type(made).__name__}, not batches")
        return made

    def epoch(self, seed: int) -> Iterator[Batch]:
        """Yield the batches of one epoch, on the device.

        Raises:
            DataError: fewer batches than the loader's length says.
        """
        count, items = 0, iter(self.made(seed))
        while True:
            with asking(f"a loader fails at batch {count + 1}"):
                item = next(items, _END)
            if item is _END:
                break
            count += 1
            yield self._sent(batch_of(item))
        if count < self.batches_per_epoch:
            raise DataError(
                f"a loader ended after {count} of {self.batches_per_epoch} batches: its len() does "
                "not say how many it gives"
            )

    def _sent(self, batch: Batch) -> Batch:
        def send(tensor: torch.Tensor) -> torch.Tensor:
            return tensor.to(self.device, non_blocking=True)

        return Batch(*(map_tensors(send, part) for part in batch))


def batch_of(item: Any) -> Batch:
    """Return what a loader gives as inputs and targets.

    >>> batch_of([torch.zeros(2), torch.ones(2)]).targets
    tensor([1., 1.])
    """
    if isinstance(item, Batch):
        return item
    if isinstance(item, tuple | list) and len(item) >= 2:
        *inputs, targets = item
        return Batch(inputs[0] if len(inputs) == 1 else tuple(inputs), targets)
    if isinstance(item, tuple | list) and len(item) == 1:
        item = item[0]
    return Batch(item, item)


def stream_of(dataset: Dataset[Any], batch_size: int, *, shuffles: bool) -> Stream:
    """Return the stream of a map-style data set, read in this process.

    A data set that needs workers is given as a Stream of its own DataLoader.
    """

    def loader(seed: int) -> DataLoader[Any]:
        return DataLoader(
            dataset,
            batch_size=batch_size,
            shuffle=shuffles,
            drop_last=shuffles,
            generator=torch.Generator().manual_seed(seed),
        )

    return Stream(loader)


def in_memory(dataset: Dataset[Any]) -> Split:
    """Return a map-style data set as a split: each example is read once.

    An example that a data set draws anew at each reading (augmentation) would be frozen: give the
    data set itself for training then, or augment with the task's `augment`.

    Raises:
        DataError: no examples, or examples of different shapes.

    >>> in_memory(TensorDataset(torch.arange(3), torch.arange(3))).targets
    tensor([0, 1, 2])
    """
    if isinstance(dataset, TensorDataset):
        batch = batch_of(dataset.tensors)
    else:
        size = len(dataset)  # type: ignore[arg-type]
        if not size:
            raise DataError("a data set has no examples")
        try:
            batch = batch_of(next(iter(DataLoader(dataset, batch_size=size))))
        except RuntimeError as error:
            text = " ".join(str(error).split())[-200:]
            raise DataError(f"a data set's examples can't be put together: {text}") from error
    return Split(batch.inputs, None if batch.targets is batch.inputs else batch.targets)


def first_rows(stream: Stream) -> Batch:
    """Return the first batch of a stream."""
    for batch in stream.epoch(0):
        if leaves(batch.inputs):
            return batch
        break
    raise DataError("a loader gives no tensors")
