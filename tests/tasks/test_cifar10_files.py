"""CIFAR-10: read by torchvision from a folder or an archive; what is said when it isn't there."""

import pickle
import shutil
import urllib.request
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from cifar10_files import TEST, TRAIN, accept, made_up_files, pack, write
from splits import split_of, splits
from torch.nn.functional import pad

from schedsearch.errors import DataError
from schedsearch.tasks.cifar10 import moved_and_mirrored
from schedsearch.tasks.registry import find_task, load_task
from schedsearch.tasks.split import Batch


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise URLError("no network in this test")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.delenv("SCHEDSEARCH_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return made_up_files()


def refused(folder: Path | None) -> str:
    with pytest.raises(DataError) as caught:
        load_task("cifar10", folder=folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_folder_is_read(
    tmp_path: Path, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    accept(files, monkeypatch)
    write(files, tmp_path)
    train, validation, test = splits(find_task("cifar10").load(tmp_path))
    assert (len(train), len(validation), len(test)) == (TRAIN - 5000, 5000, TEST)
    assert train.inputs.mean(dim=(0, 2, 3)).tolist() == pytest.approx([0, 0, 0], abs=1e-4)
    assert train.inputs.std(dim=(0, 2, 3)).tolist() == pytest.approx([1, 1, 1], abs=1e-4)
    written = pickle.loads(files["test_batch"])  # a row: all reds, all greens, all blues
    pixels = torch.from_numpy(written["data"]).view(TEST, 3, 32, 32).float()
    assert test.targets.tolist() == written["labels"]
    for channel in range(3):
        low, high = train.inputs[:, channel].min(), train.inputs[:, channel].max()
        shown = (test.inputs[:, channel] - low) / (high - low) * 255
        assert torch.allclose(shown, pixels[:, channel], atol=1e-2)


def test_an_archive_is_unpacked(
    tmp_path: Path, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    accept(files, monkeypatch)
    folder = write(files, tmp_path)
    pack(folder, monkeypatch)
    shutil.rmtree(folder)
    assert len(split_of(load_task("cifar10", folder=tmp_path).train)) == TRAIN - 5000


def test_missing_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    message = refused(tmp_path / "nowhere")
    for words in ("CIFAR-10", "no such folder", "cifar-10-python.tar.gz", "SCHEDSEARCH_DATA"):
        assert words in message
    (tmp_path / "empty").mkdir()
    assert "no network in this test" in refused(tmp_path / "empty")
    assert str(tmp_path / "data") in refused(None)
    monkeypatch.setenv("SCHEDSEARCH_DATA", str(tmp_path / "empty"))
    assert str(tmp_path / "empty") in refused(None)
    assert capsys.readouterr().out == ""  # torchvision prints what it tries


def test_a_broken_file_is_not_read(
    tmp_path: Path, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    accept(files, monkeypatch)
    folder = write(files, tmp_path)
    (folder / "data_batch_3").write_bytes(files["data_batch_3"][:-1])
    assert "cifar-10-batches-py" in refused(tmp_path)


def test_augmentation_is_what_a_loop_over_pictures_gives() -> None:
    images, targets = torch.randn(16, 3, 8, 6), torch.arange(16)
    torch.manual_seed(5)
    changed = moved_and_mirrored(Batch(images, targets))
    torch.manual_seed(5)
    down, right = torch.randint(9, (2, 16, 1))
    mirrored = torch.rand(16, 1) < 0.5
    assert 0 < mirrored.sum() < 16
    for i, image in enumerate(pad(images, [4, 4, 4, 4])):
        cut = image[:, down[i, 0] : down[i, 0] + 8, right[i, 0] : right[i, 0] + 6]
        right_one = cut.flip(2) if mirrored[i] else cut
        assert torch.equal(changed.inputs[i], right_one)
    assert torch.equal(changed.targets, targets)
