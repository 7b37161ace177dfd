"""Every kind of task, on each engine, against a loop that somebody who knows only torch writes."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest
import torch
from own_tasks import OWN_TASKS
from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR

from schedsearch import Curve, OptimizerSpec, Recipe, Schedule, Split, Task, TaskSource, load_task
from schedsearch.training.choice.way import Way
from schedsearch.training.engines import find_engine
from schedsearch.training.reference import train

STEPS, EVALS, SEED, RATES = 24, 4, 5, (0.01, 0.03)
# Sums over rows and steps are rounded in another order; 24 steps amplify that a little.
TOLERANCE = {"reference": 1e-5, "fused": 2e-3}
each_task = pytest.mark.parametrize(
    ("source", "model"), OWN_TASKS, ids=[f"{s.name.split(':')[1]}-{m}" for s, m in OWN_TASKS]
)


class Row(NamedTuple):
    """What was seen at an evaluation."""

    lr: float
    train_loss: float
    values: dict[str, float]


def called(model: nn.Module, inputs: Any) -> Any:
    if isinstance(inputs, dict):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, tuple) else model(inputs)


def rows_of(tree: Any, rows: Any) -> Any:
    if isinstance(tree, dict):
        return {name: part[rows] for name, part in tree.items()}
    return tuple(part[rows] for part in tree) if isinstance(tree, tuple) else tree[rows]


def whole(split: Any, task: Task) -> tuple[Any, Any]:
    if isinstance(split, Split):
        return split.inputs, split.inputs if split.targets is None else split.targets
    batches = list(split.epoch(0))
    return torch.cat([b.inputs for b in batches]), torch.cat([b.targets for b in batches])


@torch.no_grad()
def in_one_pass(model: nn.Module, task: Task) -> dict[str, float]:
    inputs, targets = whole(task.validation, task)
    outputs = called(model.eval(), inputs)
    model.train()
    values = {"val_loss": float(task.loss(outputs, targets))}
    return values | {f"val_{m.name}": float(m.value(outputs, targets)) for m in task.metrics}


def batches(task: Task, source: TaskSource, steps: int) -> list[tuple[Any, Any]]:
    """Return the batches of the steps; an augmenting task's are checked in a test of their own."""
    if source.augment is not None or not isinstance(task.train, Split):
        return [(batch.inputs, batch.targets) for batch in task.batches(SEED, steps)]
    inputs, targets = whole(task.train, task)
    return [
        (rows_of(inputs, rows), rows_of(targets, rows)) for rows in task.batch_indices(SEED, steps)
    ]


def by_hand(
    task: Task, source: TaskSource, make: Callable[..., Optimizer], rate: float
) -> list[Row]:
    loss_of = source.train_loss or source.loss
    rows, losses = [], []
    with torch.random.fork_rng():
        torch.manual_seed(_training_seed())
        model = task.model(SEED).train()
        optimizer = make(_groups(source, model, rate), rate)
        scheduler = CosineAnnealingLR(optimizer, STEPS)
        for step, (inputs, targets) in enumerate(batches(task, source, STEPS), start=1):
            optimizer.zero_grad()
            loss = loss_of(called(model, inputs), targets)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            lr = max(group["lr"] for group in optimizer.param_groups)
            losses.append(loss.item())
            scheduler.step()
            if step % (STEPS // EVALS) == 0:
                rows.append(Row(lr, sum(losses) / len(losses), in_one_pass(model, task)))
                losses.clear()
    return rows


def _training_seed() -> int:
    from schedsearch.seeds import derive_seed

    return derive_seed(SEED, "training")


def _groups(source: TaskSource, model: nn.Module, rate: float) -> list[Any]:
    trained = [p for p in model.parameters() if p.requires_grad]
    if source.groups is None:
        return trained
    groups = []
    for given in source.groups(model):
        group = dict(given)
        group["lr"] = rate * group.pop("lr_factor", 1.0)
        groups.append(group)
    return groups


def assert_equal(curve: Curve, hand: Sequence[Row], tolerance: float) -> None:
    assert not curve.diverged
    assert [row.lr for row in curve.rows] == pytest.approx([row.lr for row in hand], rel=1e-12)
    for row, mine in zip(curve.rows, hand, strict=True):
        assert row.train_loss == pytest.approx(mine.train_loss, rel=tolerance, abs=tolerance)
        assert row.values == pytest.approx(mine.values, rel=tolerance, abs=tolerance)


def recipe_of(source: TaskSource, model: str, optimizer: OptimizerSpec) -> Recipe:
    return Recipe(load_task(source, model=model, batch_size=16), optimizer, EVALS)


def sgd(groups: list[Any], rate: float) -> Optimizer:
    return SGD(groups, lr=rate, momentum=0.9)


@each_task
def test_the_reference_engine(source: TaskSource, model: str) -> None:
    recipe = recipe_of(source, model, OptimizerSpec("SGD", {"momentum": 0.9}))
    rate = RATES[0] / 100 if source.name.endswith("SUMMED") else RATES[0]
    job = recipe.job(Schedule("CosineAnnealingLR", rate), SEED, STEPS)
    (curve,) = train(recipe, [job])
    assert_equal(curve, by_hand(recipe.trained_task, source, sgd, rate), TOLERANCE["reference"])
    assert [row.step for row in curve.rows] == [6, 12, 18, 24]


@each_task
def test_the_fused_engine_or_why_not(source: TaskSource, model: str) -> None:
    """Jobs of one stack equal loops by hand; what cannot be fused is said before it is tried."""
    recipe = recipe_of(source, model, OptimizerSpec("AdamW", {"weight_decay": 0.1}))
    engine = find_engine("fused")
    why = engine.why_not(recipe)
    if why is not None:
        assert f"{source.name.split(':')[1]}-{model}" in NOT_FUSED, why
        return
    assert f"{source.name.split(':')[1]}-{model}" not in NOT_FUSED
    jobs = [recipe.job(Schedule("CosineAnnealingLR", rate), SEED, STEPS) for rate in RATES]
    curves: dict[Any, Curve] = {}
    prepared = engine.prepare(Way("fused", stack=2), recipe)
    prepared.train(jobs, on_eval=None, on_end=lambda ended: curves.update({ended.job: ended.curve}))

    def adamw(groups: list[Any], rate: float) -> Optimizer:
        return AdamW(groups, lr=rate, weight_decay=0.1)

    if recipe.trained_task.model(0).__class__ is nn.Sequential and model == "dropout":
        return  # a stack draws for all jobs at once: other numbers, of the same distribution
    for job, rate in zip(jobs, RATES, strict=True):
        hand = by_hand(recipe.trained_task, source, adamw, rate)
        assert_equal(curves[job], hand, TOLERANCE["fused"])


NOT_FUSED = ("STREAMED-linear", "DATASET-linear")


@each_task
def test_evaluation_does_not_depend_on_the_pieces(source: TaskSource, model: str) -> None:
    from dataclasses import replace

    from schedsearch import evaluate

    task = load_task(source, model=model, batch_size=16)
    trained = task.model(1)
    expected = in_one_pass(trained, task)
    for rows in (2, 7, 100):
        values = evaluate(trained, replace(task, eval_rows=rows))
        found = {f"val_{name}": float(value) for name, value in values.items()}
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-6), rows


def test_augmentation_follows_from_the_seed_and_disturbs_nothing() -> None:
    from own_tasks import AUGMENTED

    task = load_task(AUGMENTED, batch_size=16)
    plain = load_task(AUGMENTED.__class__(**{**vars(AUGMENTED), "augment": None}), batch_size=16)
    torch.manual_seed(0)
    state = torch.get_rng_state()
    one = [batch.inputs for batch in task.batches(3, 5)]
    torch.rand(7)
    other = [batch.inputs for batch in task.batches(3, 5)]
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    bare = [batch.inputs for batch in plain.batches(3, 5)]
    noise = torch.stack([a - b for a, b in zip(one, bare, strict=True)])
    assert noise.std().item() == pytest.approx(0.1, rel=0.1)
    assert not torch.equal(noise[0], noise[1])
    torch.set_rng_state(state)
    list(task.batches(3, 5))
    assert torch.equal(torch.get_rng_state(), state)
