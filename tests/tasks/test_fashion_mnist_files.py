"""Fashion-MNIST that is missing, or broken: one line that says what to do, nothing half-written."""

import gzip
import random
import struct
import urllib.request
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
from splits import split_of

from schedsearch.errors import DataError
from schedsearch.tasks import fashion_mnist
from schedsearch.tasks.registry import load_task

PACKED = gzip.compress(random.Random(0).randbytes(5000))
NAME = "train-images-idx3-ubyte"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No network, and no package of Debian's."""

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise URLError("no network in this test")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setattr(fashion_mnist, "_DEBIAN", tmp_path / "nowhere")
    monkeypatch.chdir(tmp_path)


def refused(folder: Path | None) -> str:
    with pytest.raises(DataError) as caught:
        load_task("fashion_mnist", folder=folder)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_missing_data(tmp_path: Path) -> None:
    message = refused(tmp_path / "empty")
    for remedy in ("apt install dataset-fashion-mnist", "ubyte.gz", "`data`", "SCHEDSEARCH_DATA"):
        assert remedy in message
    assert str(tmp_path / "empty") in message
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_where_it_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SCHEDSEARCH_DATA", raising=False)
    assert str(tmp_path / "data") in refused(None)
    monkeypatch.setenv("SCHEDSEARCH_DATA", str(tmp_path / "elsewhere"))
    assert str(tmp_path / "elsewhere") in refused(None)
    assert str(tmp_path / "given") in refused(tmp_path / "given")


MIDDLE = bytes(byte ^ 255 for byte in PACKED[100:200])
BROKEN_PACKED = {
    "truncated": PACKED[:2000],
    "corrupt": PACKED[:100] + MIDDLE + PACKED[200:],
    "no-deflate": PACKED[:10] + b"\xff" * 30,
    "no-gzip": b"<html>not found</html>",
}


@pytest.mark.parametrize("content", BROKEN_PACKED.values(), ids=BROKEN_PACKED)
def test_a_file_that_cannot_be_unpacked(tmp_path: Path, content: bytes) -> None:
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / f"{NAME}.gz").write_bytes(content)
    assert str(raw) in refused(tmp_path)
    assert not (raw / NAME).exists()
    assert [path.name for path in raw.iterdir()] == [f"{NAME}.gz"]  # nothing half-written


def idx(kind: str, count: int) -> bytes:
    """Return a file in the format of the data set, with `count` pictures or labels."""
    if kind == "labels":
        return struct.pack(">II", 0x801, count) + bytes(i % 10 for i in range(count))
    picture = bytes(range(196)) * 4
    return struct.pack(">IIII", 0x803, count, 28, 28) + picture * count


@pytest.fixture(scope="module")
def good() -> dict[str, bytes]:
    """Four good files, of 10,100 training and 10 test pictures."""
    return {
        f"{part}-{kind}-{form}-ubyte.gz": gzip.compress(idx(kind, count), 1)
        for part, count in (("train", 10_100), ("t10k", 10))
        for kind, form in (("images", "idx3"), ("labels", "idx1"))
    }


def test_packed_files_are_unpacked(tmp_path: Path, good: dict[str, bytes]) -> None:
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for name, content in good.items():
        (raw / name).write_bytes(content)
    for _ in range(2):  # the second time they are there already
        task = load_task("fashion_mnist", folder=tmp_path)
        assert (len(split_of(task.train)), len(split_of(task.validation))) == (100, 10_000)
    assert sorted(path.name for path in raw.iterdir()) == sorted(
        name for gz in good for name in (gz, gz.removesuffix(".gz"))
    )


@pytest.mark.parametrize(
    ("suffix", "content"),
    [(".gz", PACKED), (".gz", b""), (".gz", PACKED[:2000]), ("", b""), ("", idx("images", 9)[:-1])],
    ids=["packed-else", "packed-empty", "packed-truncated", "empty", "truncated"],
)
def test_the_remedy_helps(
    tmp_path: Path, suffix: str, content: bytes, good: dict[str, bytes]
) -> None:
    """After a broken file, the four good ones put where the message says are what is read."""
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / f"{NAME}{suffix}").write_bytes(content)
    assert f"*-ubyte.gz files into {raw}" in refused(tmp_path)
    for name, packed in good.items():
        (raw / name).write_bytes(packed)
    assert len(split_of(load_task("fashion_mnist", folder=tmp_path).train)) == 100


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert "file" in refused(tmp_path / "file")
