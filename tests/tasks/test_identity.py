"""A task is known again by what it is, not by how it is written or on which machine it is read."""

import importlib.util
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from schedsearch.tasks.fingerprint import fingerprint
from schedsearch.tasks.identity import task_changes, task_identity
from schedsearch.tasks.metrics import Metric
from schedsearch.tasks.registry import load_task
from schedsearch.tasks.split import Split
from schedsearch.tasks.stream import Stream
from schedsearch.tasks.task import Task


class Net(nn.Module):
    """A net whose code and arguments may differ while its parameters do not."""

    def __init__(self, activation: nn.Module, scale: float = 1.0) -> None:
        super().__init__()
        self.hidden, self.activation, self.out = nn.Linear(64, 8), activation, nn.Linear(8, 10)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        hidden: Tensor = self.activation(self.hidden(x.flatten(1)))
        outputs: Tensor = self.scale * self.out(hidden)
        return outputs


class Checkpoint(Net):
    """A net whose first layer comes from a checkpoint."""

    def __init__(self, value: float) -> None:
        super().__init__(nn.ReLU())
        with torch.no_grad():
            self.hidden.weight.copy_(torch.linspace(0, value, 512).reshape(8, 64))


def smooth(smoothing: float) -> Callable[[Tensor, Tensor], Tensor]:
    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return cross_entropy(outputs, targets, label_smoothing=smoothing)

    return loss


def hits(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs.argmax(dim=1) == targets).float().mean()


def one_group(model: nn.Module) -> list[dict[str, Any]]:
    return [{"params": list(model.parameters()), "weight_decay": 0.1}]


@pytest.fixture(scope="module")
def task() -> Task:
    return replace(load_task("digits"), make_model=lambda: Net(nn.ReLU()))


def with_row(split: Split, row: int, *, input: float = 0.0, target: int = 0) -> Split:
    """Return a split with something added to one row."""
    inputs, targets = split.inputs.clone(), split.targets.clone()
    inputs[row] += input
    targets[row] = (targets[row] + target) % 10
    return Split(inputs, targets)


def changed(task: Task, **changes: Any) -> list[str]:
    was, now = (json.loads(json.dumps(task_identity(t))) for t in (task, replace(task, **changes)))
    return task_changes(was, now)


CHANGES: dict[str, tuple[Callable[[Task], dict[str, Any]], list[str]]] = {
    "a wider layer": (
        lambda task: {"make_model": lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 10))},
        [
            "task.model: Net -> Sequential",
            "task.parameters: 610 in 4 tensors -> 650 in 2 tensors",
        ],
    ),
    "another activation": (
        lambda task: {"make_model": lambda: Net(nn.Tanh())},
        ["task.model: Net -> Net with other content"],
    ),
    "an argument of the model": (
        lambda task: {"make_model": lambda: Net(nn.ReLU(), scale=2.0)},
        ["task.model: Net -> Net with other content"],
    ),
    "one label": (
        lambda task: {"train": with_row(task.train, 700, target=1)},  # type: ignore[arg-type]
        ["task.train: 1,200 examples -> 1,200 examples with other content"],
    ),
    "one row of the validation data": (
        lambda task: {"validation": with_row(task.validation, 9, input=0.5)},  # type: ignore[arg-type]
        ["task.validation: 297 examples -> 297 examples with other content"],
    ),
    "fewer rows": (
        lambda task: {"train": Split(*task.train.take(slice(0, 1000)))},  # type: ignore[union-attr]
        ["task.train: 1,200 examples -> 1,000 examples"],
    ),
    "the order of rows": (
        lambda task: {"train": Split(*task.train.take(torch.arange(1199, -1, -1)))},  # type: ignore[union-attr]
        ["task.train: 1,200 examples -> 1,200 examples with other content"],
    ),
    "the loss": (
        lambda task: {"loss": smooth(0.1), "train_loss": smooth(0.1)},
        [
            "task.loss: cross_entropy -> loss",
            "task.train_loss: none -> loss",
        ],
    ),
    "an argument of the loss": (
        lambda task: {"train_loss": partial(cross_entropy, label_smoothing=0.1)},
        ["task.train_loss: none -> cross_entropy"],
    ),
    "a metric more": (
        lambda task: {"metrics": (*task.metrics, Metric("hits", "maximize", hits))},
        ["task.metrics: accuracy (maximize) -> accuracy (maximize), hits (maximize)"],
    ),
    "the target": (
        lambda task: {"target": ("val_accuracy", 0.5)},
        ["task.target: val_accuracy 0.96 -> val_accuracy 0.5"],
    ),
    "groups": (lambda task: {"groups": one_group}, ["task.groups: none -> one_group"]),
}


@pytest.mark.parametrize(("change", "words"), CHANGES.values(), ids=CHANGES)
def test_a_change_is_said_in_words(
    task: Task, change: Callable[[Task], dict[str, Any]], words: list[str]
) -> None:
    assert changed(task, **change(task)) == words


def test_values_that_a_function_encloses_count(task: Task) -> None:
    with_tenth = replace(task, loss=smooth(0.1))
    assert changed(with_tenth) == changed(with_tenth, loss=smooth(0.1)) == []
    other = changed(with_tenth, loss=smooth(0.2))
    assert other == ["task.loss: loss -> loss with other content"]


def test_weights_of_a_checkpoint_count_and_those_of_a_seed_do_not(task: Task) -> None:
    from_one = replace(task, make_model=partial(Checkpoint, 1.0))
    identity = task_identity(from_one)
    assert "task.weights" not in task_identity(task)
    loaded = task_identity(replace(task, make_model=partial(Checkpoint, 2.0)))
    loaded["task.model"] = identity["task.model"]
    assert task_changes(identity, loaded) == ["task.weights: given -> given with other content"]


def test_a_last_digit_makes_no_other_data(task: Task) -> None:
    """Another number of threads gives another last digit of a mean, and so of all inputs."""
    assert isinstance(task.train, Split)
    noisy = task.train.inputs * (1 + 2e-7)
    assert not torch.equal(noisy, task.train.inputs)
    assert changed(task, train=Split(noisy, task.train.targets)) == []


def test_a_stream_is_known_by_its_first_batches(task: Task) -> None:
    def streamed(targets: Tensor) -> Stream:
        rows = TensorDataset(torch.ones(len(targets), 64), targets)
        return Stream(lambda seed: DataLoader(rows, batch_size=8))

    first, second = torch.arange(32) % 10, torch.arange(32).flip(0) % 10
    one = replace(task, train=streamed(first))
    assert changed(one, train=streamed(first)) == []
    words = ["task.train: 4 batches -> 4 batches with other content"]
    assert changed(one, train=streamed(second)) == words


WRITTEN = """
WIDTH = 8

def scaled(x):
    return x * WIDTH

def loss(outputs, targets):
    return scaled((outputs - targets).square().mean())

{before}
short, other = lambda a, b: (a - b).abs().mean(), lambda a, b: (a - b).square().mean()
"""

REWRITTEN = '''
# the same, by another hand
WIDTH = 8

def scaled(x: float) -> float:
    """A docstring."""
    return (x * WIDTH)  # parentheses

def loss(outputs, targets):
    return scaled(
        (outputs - targets).square().mean(),
    )

short, other = lambda a, b: ((a - b).abs().mean()), lambda a, b: (a - b).square().mean()
'''


def imported(path: Path, source: str) -> ModuleType:
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_comments_and_layout_change_nothing(tmp_path: Path) -> None:
    one = imported(tmp_path / "one.py", WRITTEN.format(before="# comment\n"))
    two = imported(tmp_path / "two.py", REWRITTEN)
    for name in ("loss", "short", "other"):
        assert fingerprint(getattr(one, name)) == fingerprint(getattr(two, name)), name
    assert fingerprint(one.short) != fingerprint(one.other)


@pytest.mark.parametrize(
    ("old", "new"), [("WIDTH = 8", "WIDTH = 9"), ("x * WIDTH", "x / WIDTH"), ("square", "abs")]
)
def test_what_a_function_uses_of_its_module_counts(tmp_path: Path, old: str, new: str) -> None:
    one = imported(tmp_path / "one.py", WRITTEN.format(before=""))
    two = imported(tmp_path / "two.py", WRITTEN.format(before="").replace(old, new))
    assert fingerprint(one.loss) != fingerprint(two.loss)


def test_fingerprints_are_the_same_in_every_process_and_python(tmp_path: Path) -> None:
    """Another value here would refuse all runs that were made before: think twice."""
    module = imported(tmp_path / "one.py", WRITTEN.format(before=""))
    assert fingerprint(module.loss) == "91f5ec1b"
    assert fingerprint(module.short) == "0eb5e6e1"
    assert fingerprint(nn.CrossEntropyLoss(label_smoothing=0.1)) == "f3dcc635"
    assert fingerprint({"a": 1, "b": {"y", "x"}}) == "023c2196"
