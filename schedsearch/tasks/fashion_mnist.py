"""fashion_mnist: 70,000 pictures of clothes, 28x28 pixels, read by torchvision.

Xiao et al. 2017, https://arxiv.org/abs/1708.07747.
"""

import gzip
import math
import os
import shutil
from pathlib import Path

from schedsearch.tasks.models import Cnn, mlp
from schedsearch.tasks.pictures import picture_splits, read_pictures
from schedsearch.tasks.resnet import ResNet
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


def _read(root: Path) -> Data:
    """Read both sets; torchvision downloads them where there is a network."""
    from torchvision.datasets import FashionMNIST  # imported here: it takes a second

    _unpack(root / "FashionMNIST" / "raw")
    both = [FashionMNIST(str(root), train=train, download=True) for train in (True, False)]
    train, test = ((found.data.unsqueeze(1), found.targets) for found in both)
    return picture_splits(train, test, _VALIDATION)


def _remedy(root: Path) -> str:
    return (
        f"Put its four *-ubyte.gz files into {root / 'FashionMNIST' / 'raw'} (Debian: apt install "
        "dataset-fashion-mnist), or say where FashionMNIST/raw is"
    )


FASHION_MNIST = TaskSource(
    name="fashion_mnist",
    about="70,000 pictures of clothes, 28x28 (50,000 train, 10,000 validation, 10,000 test)",
    models={
        "mlp": lambda: mlp(784, 128, 10),
        "cnn": lambda: Cnn(28, 10),
        "resnet": lambda: ResNet(1, 10, widths=(8, 16, 32), blocks=1, stride=2),
    },
    load=lambda folder: read_pictures(folder, _read, "Fashion-MNIST", _remedy),
    target=("val_accuracy", 0.87),
)
