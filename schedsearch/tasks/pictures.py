"""Data sets of pictures that torchvision reads: where they lie, how they are split and scaled."""

import os
import zlib
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from schedsearch.errors import DataError
from schedsearch.tasks.split import Split
from schedsearch.tasks.task import Data

Found = TypeVar("Found")
_UNREADABLE = (OSError, EOFError, zlib.error, RuntimeError, ValueError, AssertionError)


def read_pictures(
    folder: Path | None, read: Callable[[Path], Found], what: str, remedy: Callable[[Path], str]
) -> Found:
    """Return what a function reads from the folder of the data.

    Args:
        folder: the folder; None: SCHEDSEARCH_DATA, or ./data, which need not exist.
        read: reads the data set from a folder, or downloads it into there.
        what: the data set's name, for the message.
        remedy: what a person can do about a folder in which there is nothing.

    Raises:
        DataError: there is no such folder, or nothing in it that can be read.
    """
    named = folder or os.environ.get("SCHEDSEARCH_DATA")
    root = Path(named or "data")
    if named and not root.is_dir():
        raise _no_data(root, what, "there is no such folder", remedy)
    try:
        with redirect_stdout(StringIO()):  # torchvision prints what it tries
            return read(root)
    except _UNREADABLE as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise _no_data(root, what, f"none could be fetched ({reason})", remedy) from error


def _no_data(root: Path, what: str, reason: str, remedy: Callable[[Path], str]) -> DataError:
    return DataError(
        f"no usable {what} in {root.resolve()}: {reason}. {remedy(root)}: `data` in the study "
        "file, or SCHEDSEARCH_DATA"
    )


def picture_splits(
    train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], validation_rows: int
) -> Data:
    """Return the splits of pictures, each channel scaled to mean 0 and deviation 1 in training.

    Args:
        train: pictures for training and validation, bytes `[N, C, H, W]`, and their classes `[N]`.
        test: the same for the test split.
        validation_rows: how many of the first serve for validation, the same ones each time.
    """
    images, targets = train
    order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(0))
    rows, held_out = order[:-validation_rows], order[-validation_rows:]
    pixels = images[rows].float() / 255
    mean, std = (f(dim=(0, 2, 3), keepdim=True) for f in (pixels.mean, pixels.std))

    def split(images: Tensor, targets: Tensor) -> Split:
        return Split((images.float() / 255 - mean) / std, targets.long())

    return Data(
        split(images[rows], targets[rows]),
        split(images[held_out], targets[held_out]),
        split(*test),
    )
