"""Tasks of the kinds that people bring: other data, losses, metrics and models than digits have."""

from functools import partial
from typing import Any

import torch
from own_data import classes, cut, numbers, random_numbers
from own_loaders import DATASET, STREAMED
from own_sequences import PADDED, TOKENS
from torch import Tensor, nn
from torch.nn import functional as F

from schedsearch import Batch, Data, Metric, Split, TaskSource


def mlp(inputs: int, outputs: int, *layers: nn.Module) -> nn.Sequential:
    # A bias in front of BatchNorm has no gradient but rounding, which Adam would make into steps.
    bias = not any(isinstance(layer, nn.BatchNorm1d) for layer in layers)
    first = nn.Linear(inputs, 16, bias=bias)
    return nn.Sequential(first, *layers, nn.ReLU(), nn.Linear(16, outputs))


def _regression(folder: Any) -> Data:
    x = numbers(400)
    y = (x @ torch.arange(8.0)).unsqueeze(1) + 0.1 * torch.randn(400, 1, generator=random_numbers())
    return cut(x, y / 10, 240, 320, test=False)


REGRESSION = TaskSource(
    name="own_tasks:REGRESSION",
    about="regression, targets [N, 1], no metric, no test split",
    models={"mlp": partial(mlp, 8, 1)},
    load=_regression,
    loss=F.mse_loss,
)
MEASURED = TaskSource(
    name="own_tasks:MEASURED",
    about="regression with metrics, and a target of one that falls",
    models={"mlp": partial(mlp, 8, 1)},
    load=_regression,
    loss=F.mse_loss,
    metrics=["r2", "mae"],
    target=("val_mae", 0.5),
)


NO_TEST = TaskSource(
    name="own_tasks:NO_TEST",
    about="two classes, no test split",
    models={"linear": lambda: nn.Linear(8, 2)},
    load=lambda folder: Data(classes(folder).train, classes(folder).validation),
)


def _imbalanced(folder: Any) -> Data:
    random = random_numbers()
    y = (torch.arange(900) % 10 == 0).long()
    x = torch.randn(900, 4, generator=random) + 1.2 * y[:, None]
    train, validation, test = slice(0, 300), slice(300, 600), slice(600, 900)
    order = y[validation].argsort(stable=True)  # by class, so that no two pieces are alike
    held = Split(x[validation][order], y[validation][order])
    return Data(Split(x[train], y[train]), held, Split(x[test], y[test]))


def weighted(outputs: Tensor, targets: Tensor) -> Tensor:
    weight = torch.tensor([1.0, 9.0], device=outputs.device)
    return F.cross_entropy(outputs, targets, weight=weight)


IMBALANCED = TaskSource(
    name="own_tasks:IMBALANCED",
    about="one in ten, class weights in the loss",
    models={"linear": lambda: nn.Linear(4, 2)},
    load=_imbalanced,
    loss=weighted,
    metrics=["macro_f1", "accuracy"],
    target=("val_macro_f1", 0.7),
)


def _labels(folder: Any) -> Data:
    x = numbers(400)
    return cut(x, (x[:, :5] > 0).float(), 240, 320)


LABELS = TaskSource(
    name="own_tasks:LABELS",
    about="five labels, all of which may hold",
    models={"linear": lambda: nn.Linear(8, 5)},
    load=_labels,
    loss=F.binary_cross_entropy_with_logits,
    metrics=[
        Metric(
            "hits", "maximize", lambda out, y: ((out > 0) == (y > 0.5)).float().mean(), worst=0.0
        )
    ],
)


def negative_dice(outputs: Tensor, targets: Tensor) -> Tensor:
    share, y = outputs.softmax(-1)[:, 1], targets.float()
    return -(2 * (share * y).sum() + 1) / (share.sum() + y.sum() + 1)


DICE = TaskSource(
    name="own_tasks:DICE",
    about="a loss below zero, which is no mean over rows",
    models={"mlp": partial(mlp, 8, 2)},
    load=classes,
    loss=negative_dice,
)


def _likelihood(folder: Any) -> Data:
    x = numbers(400)
    y = 0.05 * x[:, 0] + 0.01 * torch.randn(400, generator=random_numbers())
    return cut(x, y, 240, 320)


def likelihood(outputs: Tensor, targets: Tensor) -> Tensor:
    mean, log_variance = outputs[:, 0], outputs[:, 1]
    return 0.5 * ((targets - mean).square() / log_variance.exp() + log_variance).mean()


LIKELIHOOD = TaskSource(
    name="own_tasks:LIKELIHOOD",
    about="a Gaussian likelihood: the loss falls below zero",
    models={"mlp": partial(mlp, 8, 2)},
    load=_likelihood,
    loss=likelihood,
)
SUMMED = TaskSource(
    name="own_tasks:SUMMED",
    about="a loss that is a sum",
    models={"linear": lambda: nn.Linear(8, 2)},
    load=classes,
    loss=partial(F.cross_entropy, reduction="sum"),
)
NORMED = TaskSource(
    name="own_tasks:NORMED",
    about="BatchNorm, with running statistics and with those of the batch; dropout",
    models={
        "running": lambda: mlp(8, 2, nn.BatchNorm1d(16)),
        "batch": lambda: mlp(8, 2, nn.BatchNorm1d(16, track_running_stats=False)),
        "dropout": lambda: mlp(8, 2, nn.Dropout(0.2)),
    },
    load=classes,
)


class Two(nn.Module):
    """A model of two inputs, and of a mask that not all have."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(16, 2)

    def forward(self, left: Tensor, right: Tensor, mask: Tensor | None = None) -> dict[str, Tensor]:
        if mask is not None:
            right = right * mask
        return {"logits": self.layer(torch.cat([left, right], dim=1))}


def _named_loss(outputs: dict[str, Tensor], targets: Tensor) -> Tensor:
    return F.cross_entropy(outputs["logits"], targets)


def _pairs(folder: Any) -> Data:
    x = numbers(400)
    return cut((x, x.flip(1)), (x[:, 0] > 0).long(), 240, 320)


def _tables(folder: Any) -> Data:
    x, mask = numbers(400), (torch.rand(400, 1, generator=random_numbers()) > 0.3).float()
    return cut({"left": x, "right": x.flip(1), "mask": mask}, (x[:, 0] > 0).long(), 240, 320)


PAIRS = TaskSource(
    name="own_tasks:PAIRS",
    about="two inputs, outputs in a dictionary",
    models={"two": Two},
    load=_pairs,
    loss=_named_loss,
)
TABLES = TaskSource(
    name="own_tasks:TABLES",
    about="inputs by name, with a mask",
    models={"two": Two},
    load=_tables,
    loss=_named_loss,
)


def _self(folder: Any) -> Data:
    x = numbers(400)
    return Data(Split(x[:240]), Split(x[240:320]), Split(x[320:]))


AUTOENCODER = TaskSource(
    name="own_tasks:AUTOENCODER",
    about="the example is its own target",
    models={"mlp": partial(mlp, 8, 8)},
    load=_self,
    loss=F.mse_loss,
)


class Started(nn.Module):
    """A model whose loss at the start is almost zero: fine-tuning from a good checkpoint."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 2)
        nn.init.zeros_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)
        self.layer.weight.data[1, 0] = 40.0

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.layer(inputs)
        return logits


def _frozen() -> nn.Module:
    """Return a model whose first layer is not trained, and the same for all seeds."""
    model = mlp(8, 2)
    first = model[0]
    assert isinstance(first, nn.Linear)
    first.requires_grad_(False)
    with torch.no_grad():
        first.weight.copy_(torch.linspace(-1, 1, 128).sin().view(16, 8))
        first.bias.zero_()
    return model


def _lazy() -> nn.Module:
    first = nn.LazyLinear(16, bias=False)
    return nn.Sequential(first, nn.LazyBatchNorm1d(), nn.ReLU(), nn.LazyLinear(2))


STARTED = TaskSource(
    name="own_tasks:STARTED",
    about="a good start, frozen layers, lazy layers",
    models={"good": Started, "frozen": _frozen, "lazy": _lazy},
    load=classes,
)


def _two_groups(model: nn.Module) -> list[dict[str, Any]]:
    weights = [p for p in model.parameters() if p.dim() > 1]
    rest = [p for p in model.parameters() if p.dim() == 1]
    return [
        {"params": weights, "weight_decay": 0.1},
        {"params": rest, "weight_decay": 0.0, "lr_factor": 0.25},
    ]


GROUPED = TaskSource(
    name="own_tasks:GROUPED",
    about="two groups, with rates and weight decays of their own",
    models={"mlp": partial(mlp, 8, 2)},
    load=classes,
    groups=_two_groups,
    train_loss=partial(F.cross_entropy, label_smoothing=0.1),
)


def _noisy(batch: Batch) -> Batch:
    return Batch(batch.inputs + 0.1 * torch.randn_like(batch.inputs), batch.targets)


AUGMENTED = TaskSource(
    name="own_tasks:AUGMENTED",
    about="noise on each batch, and dropout",
    models={"mlp": partial(mlp, 8, 2), "dropout": lambda: mlp(8, 2, nn.Dropout(0.2))},
    load=classes,
    augment=_noisy,
)


OWN_TASKS: tuple[tuple[TaskSource, str], ...] = tuple(
    (source, model)
    for source in (
        *(REGRESSION, MEASURED, NO_TEST, TOKENS, PADDED, IMBALANCED, LABELS, DICE, LIKELIHOOD),
        *(SUMMED, NORMED, PAIRS, TABLES, AUTOENCODER, STARTED, GROUPED, AUGMENTED),
        *(DATASET, STREAMED),
    )
    for model in source.models
)
