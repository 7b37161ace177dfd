"""One suite over TASKS: what holds for every task that comes with the package."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch
from cifar10_files import accept, made_up_files, write
from fashion_mnist_files import real_folder
from splits import split_of, splits
from torch import Tensor

from schedsearch.objective import find_objective, objectives_of
from schedsearch.tasks.evaluate import evaluate
from schedsearch.tasks.registry import TASKS, find_task, load_task
from schedsearch.tasks.split import Batch, Split, call
from schedsearch.tasks.task import Data, Task
from schedsearch.tasks.tree import leaves

CHANCE = {  # the loss of who knows nothing of the inputs
    "digits": math.log(10),
    "fashion_mnist": math.log(10),
    "cifar10": math.log(10),
    "char_lm": math.log(97),
    "tabular": 1.0,  # the variance of targets that are standardised
    "imbalanced": math.log(2),  # both classes weigh alike
}
RANGES = {"accuracy": (0, 1), "token_accuracy": (0, 1), "macro_f1": (0, 1), "r2": (-1, 1)}
POSITIVE = {"perplexity", "mae"}
NAMES = [source.name for source in TASKS]
MODELS = [(source.name, model) for source in TASKS for model in source.models]
FOR_A_GPU = ("transformer_gpu", "resnet20")


@pytest.fixture(scope="module")
def data_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Data]]:
    """Return the data of a task, read once; cifar10's files are made up."""
    read: dict[str, Data] = {}
    with pytest.MonkeyPatch.context() as monkeypatch:

        def find(name: str) -> Data:
            folder = None
            if name not in read and name == "cifar10":
                folder, files = tmp_path_factory.mktemp("cifar10"), made_up_files()
                accept(files, monkeypatch)
                write(files, folder)
            if name not in read and name == "fashion_mnist":
                folder = real_folder(tmp_path_factory)
            return read.setdefault(name, read.get(name) or find_task(name).load(folder))

        yield find


@pytest.fixture
def task_of(data_of: Callable[[str], Data]) -> Callable[[str, str], Task]:
    """Return a task with one of its models, in batches of eight."""

    def find(name: str, model: str) -> Task:
        source = replace(find_task(name), load=lambda folder: data_of(name))
        return load_task(source, model=model, batch_size=8)

    return find


def rows_of(split: Split) -> list[bytes]:
    """Return the inputs of each row as bytes."""
    return [row.numpy().tobytes() for row in split.inputs]


@pytest.mark.parametrize("name", ["digits", "cifar10", "char_lm", "tabular", "imbalanced"])
def test_no_row_stands_in_two_splits(name: str, data_of: Callable[[str], Data]) -> None:
    """Fashion-MNIST is the subject of test_splits."""
    rows = [row for split in splits(data_of(name)) for row in rows_of(split)]
    assert len(set(rows)) == len(rows)


@pytest.mark.parametrize("name", ["char_lm", "tabular", "imbalanced"])
def test_data_are_the_same_each_time(name: str, data_of: Callable[[str], Data]) -> None:
    torch.manual_seed(1234)
    again = find_task(name).load(None)
    for one, other in zip(splits(data_of(name)), splits(again), strict=True):
        assert torch.equal(one.inputs, other.inputs)
        assert torch.equal(one.targets, other.targets)


@pytest.mark.parametrize(("name", "model"), MODELS)
def test_an_untrained_model_is_near_chance(
    name: str, model: str, task_of: Callable[[str, str], Task]
) -> None:
    """Its loss is near chance, metrics are in their range, and the target is not reached."""
    task = task_of(name, model)
    few = Split(*split_of(task.validation).take(slice(0, 32)))
    values = {key: float(value) for key, value in evaluate(task.model(0), task, few).items()}
    assert set(values) == {"loss", *(metric.name for metric in task.metrics)}
    assert values["loss"] == pytest.approx(CHANCE[name], rel=0.25)
    for metric in task.metrics:
        low, high = RANGES.get(metric.name, (0, math.inf))
        assert metric.name in RANGES or metric.name in POSITIVE
        assert low <= values[metric.name] <= high
    assert task.target is not None
    key, target = task.target
    objectives = objectives_of((m.name, m.direction, m.words, m.is_share) for m in task.metrics)
    assert find_objective(key, objectives).better(target, than=values[key.removeprefix("val_")])


@pytest.mark.parametrize(("name", "model"), MODELS)
def test_outputs_fit_targets(name: str, model: str, task_of: Callable[[str, str], Task]) -> None:
    task = task_of(name, model)
    outputs = call(task.model(0).eval(), task.sample.inputs)
    classes = () if name == "tabular" else (outputs.shape[-1],)
    assert outputs.shape == (*task.sample.targets.shape, *classes)
    assert task.outputs.alone
    if classes:
        assert 0 <= int(task.sample.targets.min()) <= int(task.sample.targets.max()) < classes[0]


@pytest.mark.parametrize(("name", "model"), MODELS)
def test_the_seed_decides_weights_and_batches(
    name: str, model: str, task_of: Callable[[str, str], Task]
) -> None:
    task = task_of(name, model)

    def all_of(seed: int) -> list[Tensor]:
        torch.manual_seed(torch.seed())
        inputs = [leaf for batch in task.batches(seed, 2) for leaf in leaves(batch.inputs)]
        return [*(p.detach() for p in task.model(seed).parameters() if p.dim() > 1), *inputs]

    one, same, other = all_of(3), all_of(3), all_of(4)
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(("name", "model"), [m for m in MODELS if m[1] not in FOR_A_GPU])
def test_one_batch_is_learned_by_heart(
    name: str, model: str, task_of: Callable[[str, str], Task]
) -> None:
    task = task_of(name, model)
    net = task.model(0)
    batch = next(iter(task.batches(0, 1)))
    if name == "char_lm":
        batch = Batch(batch.inputs[:2], batch.targets[:2])
    optimizer = torch.optim.Adam(task.parameter_groups(net), lr=0.01)
    losses: list[float] = []
    for _ in range(60):
        loss = task.loss_of(net, batch)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if not losses:
            for key, parameter in net.named_parameters():
                assert parameter.grad is not None, key
                assert parameter.grad.isfinite().all(), key
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]
