"""fashion_mnist: 70,000 pictures of clothes, 28x28 pixels, read by torchvision.

Xiao et al. 2017, https://arxiv.org/abs/1708.07747.
"""

import gzip
import math
import os
import shutil
import zlib
from pathlib import Path

import torch
from torch import Tensor

from schedsearch.errors import DataError
from schedsearch.tasks.models import Cnn, mlp
from schedsearch.tasks.split import Split
from schedsearch.tasks.task import Data, TaskSource

_VALIDATION = 10_000  # pictures, of the 60,000 for training
_DEBIAN = Path("/usr/share/datasets/fashion-mnist")  # the package dataset-fashion-mnist
_FILES = tuple(
    f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")
)


def _whole(path: Path) -> bool:
    """Return whether a file is as long as its idx header says: http://yann.lecun.com/exdb/mnist."""
    with path.open("rb") as file:
        head = file.read(4)
        if len(head) < 4 or head[:3] != b"\0\0\x08":
            return False
        dims = file.read(4 * head[3])
    sizes = [int.from_bytes(dims[i : i + 4], "big") for i in range(0, len(dims), 4)]
    return path.stat().st_size == 4 + len(dims) + math.prod(sizes) and len(sizes) == head[3]


def _unpack(raw: Path) -> None:
    """Unpack the four files into `raw`, from `raw` or Debian's folder; each appears in one move."""
    for name in _FILES:
        target = raw / name
        if target.exists() and _whole(target):
            continue
        packed = [f for f in (raw / f"{name}.gz", _DEBIAN / f"{name}.gz") if f.exists()]
        if packed:
            raw.mkdir(parents=True, exist_ok=True)
            part = raw / f".{name}.{os.getpid()}"
            try:
                with gzip.open(packed[0]) as source, part.open("wb") as unpacked:
                    shutil.copyfileobj(source, unpacked)
                if not _whole(part):
                    raise ValueError(f"{packed[0]} does not hold what its name says")
                part.replace(target)
            finally:
                part.unlink(missing_ok=True)
        elif target.exists():
            target.unlink()  # a broken file, which torchvision would read without a check


def _pictures(root: Path, train: bool) -> tuple[Tensor, Tensor]:
    """Return images and targets of one set; torchvision downloads them where there is a network."""
    from torchvision.datasets import FashionMNIST  # imported here: it takes a second

    raw = root / "FashionMNIST" / "raw"
    try:
        _unpack(raw)
        found = FashionMNIST(str(root), train=train, download=True)
        return found.data, found.targets
    except (OSError, EOFError, zlib.error, RuntimeError, ValueError, AssertionError) as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise _no_data(root, f"none could be fetched ({reason})") from error


def _no_data(root: Path, reason: str) -> DataError:
    raw = root / "FashionMNIST" / "raw"
    return DataError(
        f"no usable Fashion-MNIST in {root.resolve()}: {reason}. "
        f"Put its four *-ubyte.gz files into {raw} (Debian: apt install dataset-fashion-mnist),"
        " or say where FashionMNIST/raw is: `data` in the study file, or SCHEDSEARCH_DATA"
    )


def _load(folder: Path | None) -> Data:
    named = folder or os.environ.get("SCHEDSEARCH_DATA")
    root = Path(named or "data")
    if named and not root.is_dir():
        raise _no_data(root, "there is no such folder")
    (images, targets), test = _pictures(root, True), _pictures(root, False)
    order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(0))
    rows, held_out = order[:-_VALIDATION], order[-_VALIDATION:]
    pixels = images[rows].float() / 255
    mean, std = pixels.mean(), pixels.std()

    def split(images: Tensor, targets: Tensor) -> Split:
        return Split(((images.float() / 255 - mean) / std).unsqueeze(1), targets.long())

    return Data(
        split(images[rows], targets[rows]),
        split(images[held_out], targets[held_out]),
        split(*test),
    )


FASHION_MNIST = TaskSource(
    name="fashion_mnist",
    about="70,000 pictures of clothes, 28x28 (50,000 train, 10,000 validation, 10,000 test)",
    models={"mlp": lambda: mlp(784, 128, 10), "cnn": lambda: Cnn(28, 10)},
    load=_load,
    target=("val_accuracy", 0.87),
)
