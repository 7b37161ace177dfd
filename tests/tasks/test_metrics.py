"""The ready metrics against scikit-learn and torchmetrics, and what a task reports by default."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, mean_absolute_error, r2_score
from torch import Tensor
from torch.nn.functional import cross_entropy
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score
from torchmetrics.regression import MeanSquaredError

from schedsearch import METRICS, Metric
from schedsearch.errors import ConfigError
from schedsearch.named import find_named
from schedsearch.tasks.metrics import default_metrics, metrics_of

seeds = st.integers(0, 2**31 - 1)


def value(name: str, outputs: Tensor, targets: Tensor) -> float:
    return float(find_named("metric", name, METRICS).value(outputs, targets))


def classes(seed: int, *shape: int, count: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    outputs = torch.randn(*shape, count, generator=generator)
    return outputs, torch.randint(count, shape, generator=generator)


def kept(outputs: Tensor, targets: Tensor) -> tuple[list[int], list[int]]:
    known = targets != -100
    return targets[known].tolist(), outputs.argmax(-1)[known].tolist()


@given(seeds, st.integers(2, 40))
def test_classes(seed: int, rows: int) -> None:
    outputs, targets = classes(seed, rows)
    targets[: rows // 3] = -100
    true, said = kept(outputs, targets)
    right = sum(a == b for a, b in zip(true, said, strict=True)) / len(true)
    assert value("accuracy", outputs, targets) == pytest.approx(right)
    expected = f1_score(true, said, average="macro")
    assert value("macro_f1", outputs, targets) == pytest.approx(expected, abs=1e-6)


@given(seeds, st.integers(1, 8), st.integers(1, 6))
def test_tokens(seed: int, rows: int, length: int) -> None:
    outputs, targets = classes(seed, rows, length)
    if rows * length > 1:
        targets[0, 0] = -100
    true, said = kept(outputs, targets)
    right = sum(a == b for a, b in zip(true, said, strict=True)) / len(true)
    assert value("token_accuracy", outputs, targets) == pytest.approx(right)
    flat = cross_entropy(outputs.flatten(0, 1), targets.flatten(), ignore_index=-100)
    assert value("perplexity", outputs, targets) == pytest.approx(float(flat.exp()), rel=1e-5)


@given(seeds, st.integers(2, 30), st.integers(1, 3))
def test_numbers(seed: int, rows: int, columns: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    outputs, targets = (torch.randn(rows, columns, generator=generator) for _ in range(2))
    expected = r2_score(targets.numpy(), outputs.numpy())
    assert value("r2", outputs, targets) == pytest.approx(expected, rel=1e-3, abs=1e-4)
    expected = mean_absolute_error(targets.numpy(), outputs.numpy())
    assert value("mae", outputs, targets) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ["r2", "mae"])
def test_shapes_that_would_be_broadcast_are_refused(name: str) -> None:
    """[N, 1] against [N] makes a table of N x N: a wrong number that looks right."""
    with pytest.raises(ValueError, match=r"different shapes: \[5, 1\] and \[5\]"):
        value(name, torch.zeros(5, 1), torch.zeros(5))


def test_segmentation_counts_pixels() -> None:
    outputs, targets = classes(0, 2, 3, 5)
    channels_second = outputs.permute(0, 3, 1, 2)
    right = (outputs.argmax(-1) == targets).float().mean().item()
    assert value("accuracy", channels_second, targets) == pytest.approx(right)
    true, said = targets.flatten().tolist(), outputs.argmax(-1).flatten().tolist()
    expected = f1_score(true, said, average="macro")
    flat = outputs.reshape(-1, 4), targets.reshape(-1)
    assert value("macro_f1", *flat) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("make", "direction", "name"),
    [
        (lambda: MulticlassF1Score(4, average="macro"), "maximize", "multiclass_f1_score"),
        (lambda: MulticlassAccuracy(4, average="micro"), "maximize", "multiclass_accuracy"),
        (MeanSquaredError, "minimize", "mean_squared_error"),
    ],
)
def test_a_metric_of_torchmetrics(make: Callable[[], Any], direction: str, name: str) -> None:
    (metric,) = metrics_of([make()])
    assert (metric.direction, metric.name) == (direction, name)
    outputs, targets = classes(0, 30)
    if name == "mean_squared_error":
        outputs, targets = outputs[:, 0], targets.float()
    plain = make()
    plain.update(outputs, targets)
    for _ in range(2):  # nothing is left of an earlier evaluation
        assert float(metric.value(outputs, targets)) == pytest.approx(float(plain.compute()))


def test_a_function_of_the_users_own_may_return_a_float() -> None:
    metric = Metric("share", "maximize", lambda outputs, targets: float(len(targets)))
    assert metric.value(torch.zeros(3), torch.zeros(3)) == torch.tensor(3.0)


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        (["acuracy"], "did you mean 'accuracy'"),
        (["mae", "mae"], "two metrics named 'mae'"),
        ([len], "len is no metric: give schedsearch.Metric"),
        ([Metric("loss", "minimize", cross_entropy)], "cannot be named 'loss'"),
    ],
)
def test_what_is_no_metric(wishes: list[object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        metrics_of(wishes)


@pytest.mark.parametrize(
    ("name", "direction", "words"),
    [("a b", "minimize", "cannot be named 'a b'"), ("f1", "max", "'minimize' or 'maximize'")],
)
def test_what_a_metric_cannot_be(name: str, direction: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Metric(name, direction, cross_entropy)


LONG = torch.long


@pytest.mark.parametrize(
    ("outputs", "targets", "names"),
    [
        (torch.zeros(6, 3), torch.zeros(6, dtype=LONG), ["accuracy"]),
        (torch.zeros(6, 5, 3), torch.zeros(6, 5, dtype=LONG), ["token_accuracy"]),
        (torch.zeros(6, 3, 5), torch.zeros(6, 5, dtype=LONG), ["accuracy"]),
        (torch.zeros(6, 3, 4, 5), torch.zeros(6, 4, 5, dtype=LONG), ["accuracy"]),
        (torch.zeros(6, 5, 5), torch.zeros(6, 5, dtype=LONG), []),  # which are the classes?
        (torch.zeros(6, 1), torch.zeros(6, 1), []),
        (torch.zeros(6), torch.zeros(6), []),
        (torch.zeros(6, 3), torch.zeros(6, 3), []),
        ({"logits": torch.zeros(6, 3)}, torch.zeros(6, dtype=LONG), []),
    ],
)
def test_what_is_reported_by_default(outputs: Any, targets: Any, names: list[str]) -> None:
    assert [metric.name for metric in default_metrics(outputs, targets)] == names
