"""Own tasks whose data are a map-style data set, or come from DataLoaders."""

from functools import partial
from typing import Any

import torch
from own_data import classes
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from schedsearch import Data, Split, Stream, TaskSource


class _Rows(Dataset[tuple[Tensor, Tensor]]):
    """A map-style data set that is no TensorDataset."""

    def __init__(self, split: Split) -> None:
        self.split = split

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        return self.split.inputs[row], self.split.targets[row]


def _of_rows(folder: Any) -> Data:
    data = classes(folder)
    assert isinstance(data.train, Split)
    assert isinstance(data.validation, Split)
    return Data(_Rows(data.train), _Rows(data.validation))


def loader(split: Split, seed: int, *, workers: int = 0) -> DataLoader[Any]:
    return DataLoader(
        TensorDataset(split.inputs, split.targets),
        batch_size=16,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        generator=torch.Generator().manual_seed(seed),
    )


def _ofloaders(folder: Any) -> Data:
    data = classes(folder)
    assert isinstance(data.train, Split)
    return Data(Stream(partial(loader, data.train)), data.validation)


DATASET = TaskSource(
    name="own_tasks:DATASET",
    about="a map-style data set",
    models={"linear": lambda: nn.Linear(8, 2)},
    load=_of_rows,
)
STREAMED = TaskSource(
    name="own_tasks:STREAMED",
    about="batches of a DataLoader",
    models={"linear": lambda: nn.Linear(8, 2)},
    load=_ofloaders,
)
