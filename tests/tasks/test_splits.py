"""The splits of digits and Fashion-MNIST: fixed, disjoint, and scaled by what training may see."""

from dataclasses import fields
from pathlib import Path

import pytest
import torch
from fashion_mnist_files import real_folder
from sklearn.datasets import load_digits
from splits import splits
from torch import Tensor
from torchvision.datasets import FashionMNIST

from schedsearch.tasks.registry import find_task, load_task, load_test
from schedsearch.tasks.split import Split
from schedsearch.tasks.task import Data, Task

SIZES = {"digits": (1200, 297, 300), "fashion_mnist": (50_000, 10_000, 10_000)}
SHAPES = {"digits": (1, 8, 8), "fashion_mnist": (1, 28, 28)}
HIGHEST = {"digits": 16, "fashion_mnist": 255}  # the pixels' range is from 0 up to this

# Of each split: its first twelve targets, and the sums of its first two pictures.
FIXED = {
    "digits": (
        ([6, 5, 5, 7, 9, 9, 8, 4, 6, 8, 6, 0], [-2.9896, 4.1652]),
        ([1, 5, 5, 0, 3, 1, 9, 2, 3, 4, 7, 6], [4.4980, 3.4996]),
        ([3, 7, 8, 5, 7, 4, 5, 9, 5, 5, 8, 7], [9.8225, 7.9922]),
    ),
    "fashion_mnist": (
        ([6, 7, 9, 4, 9, 3, 4, 9, 7, 9, 4, 6], [11.2630, -299.6914]),
        ([8, 7, 9, 7, 6, 9, 9, 9, 7, 6, 7, 5], [187.7888, -128.2058]),
        ([9, 2, 1, 1, 6, 1, 4, 6, 5, 7, 4, 5], [-264.3996, 485.3770]),
    ),
}


@pytest.fixture(scope="module", params=list(SIZES))
def name(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="module")
def folder(name: str, tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    return real_folder(tmp_path_factory) if name == "fashion_mnist" else None


@pytest.fixture(scope="module")
def data(name: str, folder: Path | None) -> Data:
    return find_task(name).load(folder)


def train_of(data: Data) -> Tensor:
    pictures: Tensor = splits(data)[0].inputs
    return pictures


def pixels(data: Data, split: Split, highest: int) -> Tensor:
    """Undo the scaling, which is the same for all splits: 0 is the lowest value there is."""
    low, high = train_of(data).min(), train_of(data).max()
    whole: Tensor = ((split.inputs - low) / (high - low) * highest).round().flatten(1)
    return whole


def test_sizes_and_kinds(name: str, data: Data) -> None:
    assert tuple(len(split) for split in splits(data)) == SIZES[name]
    for split in splits(data):
        assert split.inputs.shape == (len(split.targets), *SHAPES[name])
        assert (split.inputs.dtype, split.targets.dtype) == (torch.float32, torch.int64)
        assert set(split.targets.tolist()) == set(range(10))
        assert split.inputs.isfinite().all()


def test_scaled_by_the_training_split_alone(data: Data) -> None:
    assert train_of(data).mean().item() == pytest.approx(0, abs=1e-4)
    assert train_of(data).std().item() == pytest.approx(1, abs=1e-4)
    for split in splits(data)[1:]:  # the same scale, but not their own mean
        assert split.inputs.min() == train_of(data).min()
        assert split.inputs.max() == train_of(data).max()
        assert abs(split.inputs.mean().item()) > 1e-3 or abs(split.inputs.std().item() - 1) > 1e-3


def keys(rows: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Return a number for each picture and its target that hardly any other has, sorted."""
    images, targets = (torch.cat(column).double() for column in zip(*rows, strict=True))
    generator = torch.Generator().manual_seed(0)
    weights = torch.randint(1, 2**30, images.shape[1:], generator=generator).double()
    return (images @ weights * 10 + targets).sort().values  # whole numbers below 2**53: exact


def test_each_row_is_in_one_split(name: str, data: Data, folder: Path | None) -> None:
    """Together the splits are the data set: as many rows, and each of them once."""
    parts = [(pixels(data, split, HIGHEST[name]), split.targets) for split in splits(data)]
    if name == "digits":
        bunch = load_digits()
        whole = torch.tensor(bunch.data), torch.tensor(bunch.target)
        assert torch.equal(keys(parts), keys([whole]))
    else:
        for train, own in ((True, parts[:2]), (False, parts[2:])):
            raw = FashionMNIST(str(folder), train=train)
            assert torch.equal(keys(own), keys([(raw.data.flatten(1), raw.targets)]))


def test_splits_are_fixed(name: str, data: Data, folder: Path | None) -> None:
    torch.manual_seed(1234)
    again = find_task(name).load(folder)
    for one, other in zip(splits(data), splits(again), strict=True):
        assert torch.equal(one.inputs, other.inputs)
        assert torch.equal(one.targets, other.targets)
    for split, (targets, sums) in zip(splits(data), FIXED[name], strict=True):
        assert split.targets[:12].tolist() == targets
        assert split.inputs[:2].sum((1, 2, 3)).tolist() == pytest.approx(sums, abs=1e-3)


def test_a_task_holds_no_test_split(name: str, data: Data, folder: Path | None) -> None:
    task = load_task(name, folder=folder)
    assert [f.name for f in fields(Task) if "test" in f.name] == ["has_test"]
    held = [getattr(task, field.name) for field in fields(Task)]
    assert [len(value) for value in held if isinstance(value, Split)] == list(SIZES[name][:2])
    assert not [value for value in held if isinstance(value, Data | Tensor)]
    test = load_test(task, folder)
    assert isinstance(test, Split)
    assert isinstance(data.test, Split)
    assert torch.equal(test.inputs, data.test.inputs)
