"""imbalanced: two classes, one in ten and nine in ten, made by scikit-learn (Guyon 2003).

The loss weighs both classes alike, and macro-F1 reports what an accuracy would hide: a model that
never says the rare class has an accuracy of 0.9, and a macro-F1 of 0.47.
"""

from pathlib import Path

import torch
from sklearn.datasets import make_classification
from torch import Tensor
from torch.nn.functional import cross_entropy

from schedsearch.tasks.models import mlp
from schedsearch.tasks.split import Split
from schedsearch.tasks.task import Data, TaskSource

_TRAIN, _VALIDATION, _ROWS = 4000, 2000, 8000
_SHARES = (0.9, 0.1)  # of the two classes


def _load(folder: Path | None) -> Data:
    rows, classes = make_classification(
        n_samples=_ROWS,
        n_features=20,
        n_informative=10,
        n_clusters_per_class=4,
        weights=list(_SHARES),
        flip_y=0.01,
        random_state=0,
    )
    inputs = torch.tensor(rows, dtype=torch.float32)
    targets = torch.tensor(classes, dtype=torch.int64)
    mean, std = inputs[:_TRAIN].mean(dim=0), inputs[:_TRAIN].std(dim=0)
    inputs = (inputs - mean) / std
    parts = torch.arange(_ROWS).tensor_split([_TRAIN, _TRAIN + _VALIDATION])
    return Data(*(Split(inputs[part], targets[part]) for part in parts))


def weighted_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the cross entropy in which both classes weigh alike: outputs `[B, 2]`."""
    weight = torch.tensor([0.5 / share for share in _SHARES], device=outputs.device)
    return cross_entropy(outputs, targets, weight=weight.to(outputs.dtype))


IMBALANCED = TaskSource(
    name="imbalanced",
    about="8,000 rows of 20 numbers, one in ten of the class that matters, made by scikit-learn",
    models={"mlp": lambda: mlp(20, 32, 2)},
    load=_load,
    loss=weighted_loss,
    metrics=("macro_f1",),
    target=("val_macro_f1", 0.75),
)
