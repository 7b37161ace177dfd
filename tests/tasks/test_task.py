"""Finding tasks, their models and weights, and the order of their rows."""

from itertools import islice
from typing import Any

import pytest
import torch
from splits import split_of
from torch.nn.functional import cross_entropy

from schedsearch.errors import SchedsearchError
from schedsearch.tasks.evaluate import evaluate
from schedsearch.tasks.registry import load_task
from schedsearch.tasks.split import Split
from schedsearch.tasks.task import Task


@pytest.fixture(scope="module")
def task() -> Task:
    return load_task("digits")


# fmt: off
NOT_THERE: tuple[tuple[dict[str, Any], list[str]], ...] = (
    ({"name": "digit"}, ["unknown task 'digit'", "did you mean 'digits'", "fashion_mnist"]),
    ({"name": "fashion-mnist"}, ["unknown task", "did you mean 'fashion_mnist'"]),
    ({"name": "zzz"}, ["unknown task 'zzz'", "allowed: digits, fashion_mnist"]),
    ({"name": "no_such_module:TASK"}, ["no_such_module:TASK", "cannot import"]),
    ({"name": "math:pi"}, ["math:pi", "TaskSource"]),
    ({"name": "math:nothing"}, ["'math:nothing'", "math has no 'nothing'"]),
    ({"name": ":TASK"}, [":TASK"]),
    ({"name": ".relative:TASK"}, [".relative:TASK"]),
    ({"name": "digits", "model": "mpl"}, ["unknown model", "did you mean 'mlp'", "cnn"]),
    ({"name": "digits", "batch_size": 1201}, ["batch_size = 1201", "1200"]),
    ({"name": "digits", "batch_size": 0}, ["batch_size = 0"]),
)
# fmt: on


@pytest.mark.parametrize(("arguments", "words"), NOT_THERE, ids=lambda value: str(value)[:50])
def test_what_is_not_there(arguments: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(SchedsearchError) as caught:
        load_task(arguments["name"], **{k: v for k, v in arguments.items() if k != "name"})
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_weights_follow_from_the_seed(name: str) -> None:
    task = load_task("digits", model=name)
    torch.manual_seed(0)
    one = [p.detach() for p in task.model(3).parameters()]
    torch.manual_seed(1)
    same = [p.detach() for p in task.model(3).parameters()]
    other = [p.detach() for p in task.model(4).parameters()]
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_one_epoch_is_a_permutation_without_its_last_rows(task: Task) -> None:
    assert task.steps_per_epoch == 18  # 1,200 rows, 48 of which fill no batch of 64
    batches = list(task.batch_indices(5, 40))
    assert len(batches) == 40
    assert {tuple(batch.shape) for batch in batches} == {(64,)}
    for epoch in (batches[:18], batches[18:36]):
        rows = torch.cat(epoch)
        assert len(set(rows.tolist())) == 18 * 64
        assert set(rows.tolist()) < set(range(1200))
    first, second = torch.cat(batches[:18]), torch.cat(batches[18:36])
    assert not torch.equal(first, second)
    assert not torch.equal(first.sort().values, second.sort().values)  # others are left out


def test_batches_follow_from_the_seed_alone(task: Task) -> None:
    def first(seed: int, total_steps: int) -> list[list[int]]:
        return [batch.tolist() for batch in islice(task.batch_indices(seed, total_steps), 20)]

    torch.manual_seed(8)
    state = torch.get_rng_state()
    assert first(1, 20) == first(1, 500)  # the horizon is no matter
    assert first(1, 20) != first(2, 20)
    assert torch.equal(torch.get_rng_state(), state)


def test_batches_of_the_whole_split() -> None:
    whole = load_task("digits", batch_size=1200)
    one, other = whole.batch_indices(0, 2)
    assert one.sort().values.tolist() == other.sort().values.tolist() == list(range(1200))


@pytest.mark.parametrize("rows", [1, 297, 500, 501, 1200])
def test_evaluate(task: Task, rows: int) -> None:
    """In pieces of 500 rows it gives what one pass over all rows gives."""
    split = Split(*split_of(task.train).take(slice(0, rows)))
    model = task.model(0)
    with torch.no_grad():
        outputs = model(split.inputs)
    values = evaluate(model, task, split)
    loss, accuracy = values["loss"], values["accuracy"]
    assert loss.item() == pytest.approx(cross_entropy(outputs, split.targets).item(), rel=1e-5)
    right = (outputs.argmax(1) == split.targets).double().mean().item()
    assert accuracy.item() == pytest.approx(right, abs=1e-6)
    assert not loss.requires_grad


def test_evaluate_leaves_the_mode_as_it_was(task: Task) -> None:
    model = task.model(0)
    for training in (True, False):
        evaluate(model.train(training), task)
        assert model.training == training
