"""Try whether a stream gives the batches that it says, in an order that follows from our seed."""

from collections.abc import Iterable
from itertools import islice
from time import monotonic
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from schedsearch.errors import ConfigError, DataError
from schedsearch.tasks.apart import apart
from schedsearch.tasks.stream import Stream, batch_of
from schedsearch.tasks.tree import leaves
from schedsearch.tasks.user_code import asking

_BATCHES = 3  # of a pass that are compared
_SECONDS = 1.0  # that are spent on looking whether an epoch ends before its time


def try_stream(where: str, stream: Stream, *, trains: bool) -> list[str]:
    """Try a stream; return what a person should know of it, in a line each.

    The first three batches of two passes with one seed are compared: their order may follow from
    nothing but the seed. Examples may differ in what is drawn anew for each (augmentation).

    Args:
        where: whose stream it is, such as "task my:TASK: the training data".
        stream: the stream.
        trains: whether the order matters: that of validation data does not.

    Raises:
        DataError: no length, fewer batches than it says, or an order of its own.
        ConfigError: the user's loader fails.
    """
    try:
        _look_for_an_early_end(stream)
        if not trains:
            return []
        first, again = _read(stream, 0, state=0), _read(stream, 0, state=0)
        elsewhere, other = _read(stream, 0, state=1), _read(stream, 1, state=0)
    except (ConfigError, DataError) as error:
        raise type(error)(f"{where}: {error}") from error
    if not (_alike(_order(first), _order(again)) and _alike(_order(first), _order(elsewhere))):
        raise DataError(
            f"{where}: two passes with one seed give other batches: the order does not follow from "
            "the seed; give the DataLoader generator=torch.Generator().manual_seed(seed)"
        )
    notes = []
    if not _alike(_tensors(first), _tensors(again)):
        notes.append(
            f"{where}: the examples of two passes with one seed differ: what is drawn for them "
            "(NumPy's random numbers, say) does not follow from the seed, so trainings can't be "
            "repeated exactly"
        )
    if _alike(_order(first), _order(other)):
        notes.append(f"{where}: two seeds give the same batches in the same order: no shuffling")
    return notes


def _look_for_an_early_end(stream: Stream) -> None:
    ends = monotonic() + _SECONDS
    with apart(stream.device):
        for _ in stream.epoch(0):  # raises where it ends before its time
            if monotonic() > ends:
                break


class _Pass:
    """The first batches of a pass, and the row numbers that they have, where a loader says them."""

    def __init__(self, stream: Stream, seed: int) -> None:
        loader = stream.made(seed)
        self.rows = _row_numbers(loader)
        with asking("a loader fails"):
            self.batches = [batch_of(item) for item in islice(stream.made(seed), _BATCHES)]


def _read(stream: Stream, seed: int, *, state: int) -> _Pass:
    """Read the first batches for a seed, in a state of the global random numbers."""
    with apart(stream.device, state):
        return _Pass(stream, seed)


def _row_numbers(loader: Iterable[Any]) -> list[Any] | None:
    if not isinstance(loader, DataLoader) or loader.batch_sampler is None:
        return None
    return [list(rows) for rows in islice(loader.batch_sampler, _BATCHES)]


def _order(read: _Pass) -> list[Any]:
    """Return what tells the order of a pass: row numbers, or else targets, seldom augmented."""
    if read.rows is not None:
        return read.rows
    return leaves([batch.targets for batch in read.batches])


def _tensors(read: _Pass) -> list[Tensor]:
    return leaves([tuple(batch) for batch in read.batches])


def _alike(one: list[Any], other: list[Any]) -> bool:
    if len(one) != len(other):
        return False
    return all(
        torch.equal(a, b) if isinstance(a, Tensor) else a == b
        for a, b in zip(one, other, strict=True)
    )
