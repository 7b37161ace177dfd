"""tabular: how far a diabetes has gone after a year, of ten numbers; 442 rows, inside scikit-learn.

Efron et al. 2004, https://doi.org/10.1214/009053604000000067.
"""

from pathlib import Path

import torch
from sklearn.datasets import load_diabetes
from torch import Tensor
from torch.nn.functional import mse_loss

from schedsearch.tasks.models import mlp
from schedsearch.tasks.split import Split
from schedsearch.tasks.task import Data, TaskSource

_TRAIN, _VALIDATION = 242, 100  # the other 100 are the test split


def _load(folder: Path | None) -> Data:
    rows, values = load_diabetes(return_X_y=True, scaled=False)
    inputs = torch.tensor(rows, dtype=torch.float32)
    targets = torch.tensor(values, dtype=torch.float32).unsqueeze(1)
    order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(0))
    parts = order.tensor_split([_TRAIN, _TRAIN + _VALIDATION])

    def standardised(column: Tensor) -> Tensor:
        train = column[parts[0]]
        return (column - train.mean(dim=0)) / train.std(dim=0)

    inputs, targets = standardised(inputs), standardised(targets)
    return Data(*(Split(inputs[rows], targets[rows]) for rows in parts))


TABULAR = TaskSource(
    name="tabular",
    about="442 patients, ten numbers each, inside scikit-learn: a regression, standardised",
    models={"mlp": lambda: mlp(10, 32, 1)},
    load=_load,
    loss=mse_loss,
    metrics=("r2", "mae"),
    target=("val_r2", 0.4),
)
