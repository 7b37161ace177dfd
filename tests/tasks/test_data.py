"""Examples in memory, data sets, and streams of DataLoaders."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from own_loaders import DATASET, STREAMED
from own_sequences import TOKENS
from own_tasks import IMBALANCED, NO_TEST, REGRESSION
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from schedsearch import Data, Metric, Split, Stream, evaluate, in_memory, load_task
from schedsearch.errors import ConfigError, DataError
from schedsearch.tasks import evaluate as evaluating
from schedsearch.tasks.split import Batch, call
from schedsearch.tasks.stream import batch_of


@pytest.mark.parametrize(
    ("inputs", "targets", "words"),
    [
        (torch.zeros(3, 2), torch.zeros(4), "different numbers of rows: 3, 4"),
        (torch.zeros(0, 2), torch.zeros(0), "no examples"),
        ((torch.zeros(3), torch.zeros(2)), None, "different numbers of rows: 2, 3"),
        (torch.tensor(1.0), None, "no tensor with rows"),
        ({}, None, "no tensor with rows"),
    ],
)
def test_examples_that_do_not_fit_together(inputs: Any, targets: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        Split(inputs, targets)


def test_a_split_takes_rows_of_all_its_tensors() -> None:
    split = Split({"a": torch.arange(6), "b": torch.arange(6) * 2}, (torch.arange(6) + 1,))
    batch = split.take(torch.tensor([4, 1]))
    assert batch.inputs["a"].tolist() == [4, 1]
    assert batch.inputs["b"].tolist() == [8, 2]
    assert batch.targets[0].tolist() == [5, 2]
    alone = Split(torch.arange(3)).take(slice(0, 2))
    assert alone.targets is alone.inputs


def test_how_a_model_is_called() -> None:
    class Model(nn.Module):
        def forward(self, *args: Any, **named: Any) -> Any:
            return args, named

    assert call(Model(), torch.tensor(1)) == ((torch.tensor(1),), {})
    assert call(Model(), (1, 2)) == ((1, 2), {})
    assert call(Model(), {"x": 1}) == ((), {"x": 1})


def test_what_a_loader_gives() -> None:
    x, y, z = (torch.tensor([i]) for i in range(3))
    assert batch_of([x, y]) == Batch(x, y)
    assert batch_of((x, y, z)) == Batch((x, y), z)
    assert batch_of({"x": x}) == Batch({"x": x}, {"x": x})
    assert batch_of([x]) == Batch(x, x)


def test_a_data_set_that_is_trained_is_read_as_it_trains() -> None:
    task = load_task(DATASET, batch_size=16)
    assert isinstance(task.train, Stream)
    assert isinstance(task.validation, Split)  # what judges is read once
    assert task.steps_per_epoch == 200 // 16
    one, other = (list(task.batches(3, 20)) for _ in range(2))
    assert len(one) == 20  # beyond the end of an epoch
    assert all(torch.equal(a.inputs, b.inputs) for a, b in zip(one, other, strict=True))
    again = list(task.batches(4, 20))
    assert not torch.equal(one[0].inputs, again[0].inputs)
    assert not torch.equal(one[0].inputs, one[12].inputs)  # another order in the next epoch


def test_a_stream_reads_with_workers_what_it_reads_without() -> None:
    from own_loaders import loader

    data = NO_TEST.load(None)
    assert isinstance(data.train, Split)
    split = data.train
    plain, worked = (Stream(partial(loader, split, workers=count)) for count in (0, 1))
    for one, other in zip(plain.epoch(5), worked.epoch(5), strict=True):
        assert torch.equal(one.inputs, other.inputs)


def test_a_tensor_data_set_lies_in_memory() -> None:
    data = NO_TEST.load(None)
    assert isinstance(data.train, Split)
    sets = TensorDataset(data.train.inputs, data.train.targets)
    source = replace(NO_TEST, load=lambda folder: Data(sets, data.validation))
    assert isinstance(load_task(source, batch_size=16).train, Split)
    assert torch.equal(in_memory(sets).inputs, data.train.inputs)


def test_a_stream_that_ends_early() -> None:
    class Short(DataLoader[Any]):
        def __len__(self) -> int:
            return 10

    rows = TensorDataset(torch.zeros(32, 8), torch.zeros(32, dtype=torch.long))
    stream = Stream(lambda seed: Short(rows, batch_size=16))
    with pytest.raises(DataError, match="ended after 2 of 10 batches"):
        list(stream.epoch(0))
    with pytest.raises(DataError, match=r"has no len\(\)"):
        _ = Stream(lambda seed: iter([1])).batches_per_epoch
    with pytest.raises(DataError, match="gives no batch"):
        _ = Stream(lambda seed: []).batches_per_epoch


def test_a_validation_stream_gives_what_a_split_gives() -> None:
    task = load_task(IMBALANCED, batch_size=16)
    assert isinstance(task.validation, Split)
    rows = TensorDataset(task.validation.inputs, task.validation.targets)
    streamed = replace(task, validation=Stream(lambda seed: DataLoader(rows, batch_size=70)))
    model = task.model(0)
    plain, other = evaluate(model, task), evaluate(model, streamed)
    assert {n: float(v) for n, v in other.items()} == pytest.approx(
        {n: float(v) for n, v in plain.items()}, rel=1e-5
    )


# ---- outputs that do not fit into memory


def test_pieces_are_averaged_by_their_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    def weight(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return torch.where(targets == 1, 9.0, 1.0).sum()

    source = replace(IMBALANCED, metrics=["accuracy"], target=None, loss_weight=weight)
    task = load_task(source, batch_size=16)
    model = task.model(0)
    whole = {n: float(v) for n, v in evaluate(model, task).items()}
    monkeypatch.setattr(evaluating, "free_bytes", lambda device: 1000.0)
    small = replace(task, eval_rows=7)
    found = {n: float(v) for n, v in evaluate(model, small).items()}
    assert found == pytest.approx(whole, rel=1e-5)


def test_token_metrics_are_averaged_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def count(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return (targets != -100).sum()

    task = load_task(replace(TOKENS, loss_weight=count), batch_size=16)
    model = task.model(0)
    whole = {n: float(v) for n, v in evaluate(model, task).items()}
    monkeypatch.setattr(evaluating, "free_bytes", lambda device: 1000.0)
    found = {n: float(v) for n, v in evaluate(model, replace(task, eval_rows=7)).items()}
    assert found == pytest.approx(whole, rel=1e-5)


def test_what_has_no_weight_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluating, "free_bytes", lambda device: 1000.0)
    task = load_task(IMBALANCED, batch_size=16)
    with pytest.raises(ConfigError, match=r"the loss can't be computed at once: give loss_weight="):
        evaluate(task.model(0), task)
    metric = Metric("odd", "maximize", lambda outputs, targets: 1.0)
    task = load_task(replace(REGRESSION, metrics=[metric]), batch_size=16)
    with pytest.raises(ConfigError, match=r"the metric odd can't be .* Metric\(\.\.\., weight=\)"):
        evaluate(task.model(0), task)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (("val_f1", 0.5), "did you mean 'val_macro_f1'"),
        (("macro_f1", 0.5), "allowed: val_loss, val_macro_f1, val_accuracy"),
        (("val_accuracy", float("nan")), "is no number"),
    ],
)
def test_a_target_that_cannot_be(target: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_task(replace(IMBALANCED, target=target), batch_size=16)


def test_a_stream_has_its_own_batches() -> None:
    task = load_task(STREAMED, batch_size=16)
    assert task.steps_per_epoch == 12
    assert task.sample.inputs.shape == (16, 8)
