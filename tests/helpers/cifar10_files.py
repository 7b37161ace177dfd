"""A made-up CIFAR-10 in the format of the real one, which torchvision really reads."""

import pickle
import tarfile
from hashlib import md5
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torchvision.datasets import CIFAR10

TRAIN, TEST = 5 * 1020, 20  # pictures; 5,000 of the first are for validation
NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def made_up_files() -> dict[str, bytes]:
    """Return the content of the seven files: random pixels, and classes in turn."""
    rng = np.random.default_rng(0)

    def batch(count: int) -> bytes:
        pixels = rng.integers(0, 256, (count, 3072), dtype=np.uint8)
        return pickle.dumps({"data": pixels, "labels": [i % 10 for i in range(count)]})

    train = {f"data_batch_{i}": batch(TRAIN // 5) for i in range(1, 6)}
    meta = pickle.dumps({"label_names": list(NAMES)})
    return train | {"test_batch": batch(TEST), "batches.meta": meta}


def accept(files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torchvision take these files for the real ones, by their checksums."""
    sums = {name: md5(content).hexdigest() for name, content in files.items()}
    train = [[name, sums[name]] for name in files if name.startswith("data")]
    meta: dict[str, Any] = {**CIFAR10.meta, "md5": sums["batches.meta"]}
    monkeypatch.setattr(CIFAR10, "train_list", train)
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", meta)


def write(files: dict[str, bytes], root: Path) -> Path:
    """Write the files where CIFAR-10 lies in a folder of data; return the folder of the files."""
    folder: Path = root / CIFAR10.base_folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def pack(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pack the folder of the files as the archive that is downloaded, beside it."""
    archive: Path = folder.parent / CIFAR10.filename
    with tarfile.open(archive, "w:gz", compresslevel=0) as file:
        file.add(folder, arcname=folder.name)
    monkeypatch.setattr(CIFAR10, "tgz_md5", md5(archive.read_bytes()).hexdigest())
    return archive
