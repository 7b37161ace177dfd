"""digits: 1,797 handwritten digits of 8x8 pixels, shipped inside scikit-learn."""

from pathlib import Path

import torch
from sklearn.datasets import load_digits

from schedsearch.tasks.models import Cnn, mlp
from schedsearch.tasks.split import Split
from schedsearch.tasks.task import Data, TaskSource

_TRAIN, _VALIDATION = 1200, 297  # the other 300 are the test split


def _load(folder: Path | None) -> Data:
    bunch = load_digits()
    images = torch.tensor(bunch.images, dtype=torch.float32).unsqueeze(1)
    targets = torch.tensor(bunch.target, dtype=torch.int64)
    order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(0))
    train, validation, test = order.tensor_split([_TRAIN, _TRAIN + _VALIDATION])
    mean, std = images[train].mean(), images[train].std()
    images = (images - mean) / std
    return Data(*(Split(images[rows], targets[rows]) for rows in (train, validation, test)))


DIGITS = TaskSource(
    name="digits",
    about="1,797 digits of 8x8 pixels, inside scikit-learn (1,200 train, 297 validation, 300 test)",
    models={"mlp": lambda: mlp(64, 64, 10), "cnn": lambda: Cnn(8, 10)},
    load=_load,
    target=("val_accuracy", 0.96),
)
