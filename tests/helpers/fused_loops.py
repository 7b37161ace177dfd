"""Plain torch loops and stacked ones, to be compared; and curves of both engines."""

import dataclasses
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn

from schedsearch.horizon import evaluation_steps
from schedsearch.schedules.families import FAMILIES
from schedsearch.schedules.schedule import Schedule, Warmup
from schedsearch.tasks.split import Split
from schedsearch.tasks.task import Task
from schedsearch.tasks.tree import map_tensors
from schedsearch.training.curve import Curve, Evaluation
from schedsearch.training.fused.block import Block
from schedsearch.training.fused.compiled import CompiledStep
from schedsearch.training.fused.flat_model import Template
from schedsearch.training.optimizers import OptimizerSpec
from schedsearch.training.rates import LiveRates
from schedsearch.training.recipe import Job, Recipe

STEPS, EVALS, SEED = 300, 10, 3
FLOAT64, FLOAT32 = 1e-10, 1e-4

OPTIMIZERS = (
    OptimizerSpec("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}),
    OptimizerSpec("SGD", {"momentum": 0.9, "dampening": 0.1}),
    OptimizerSpec("SGD", {}),
    OptimizerSpec("Adam", {"weight_decay": 1e-3, "amsgrad": True}),
    OptimizerSpec("AdamW", {}),
    OptimizerSpec("NAdam", {"decoupled_weight_decay": True, "weight_decay": 1e-2}),
    OptimizerSpec("RAdam", {}),
)


def peak(optimizer: OptimizerSpec) -> float:
    """Return a peak rate at which training is stable."""
    return 0.03 if optimizer.name == "SGD" else 1e-3


def in_double(task: Task) -> Task:
    splits = [s for s in (task.train, task.validation) if isinstance(s, Split)]
    halves = [Split(s.inputs.double()[:, :, ::2, ::2], s.targets) for s in splits]

    def small() -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 12), nn.Tanh(), nn.Linear(12, 10)).double()

    return dataclasses.replace(
        task, train=halves[0], validation=halves[1], make_model=small, batch_size=32
    )


def all_schedules(rate: float) -> list[Schedule]:
    return [
        Schedule(family.name, rate, {}, warmup)
        for family in FAMILIES
        for warmup in (None, Warmup(0.1))
    ]


def metric(step: int) -> float:
    """Return a metric that improves, stalls, improves again: the same for all engines."""
    return 1.0 / (1 + min(step, 90) + max(step - 240, 0))


def plain_loop(
    task: Task, schedule: Schedule, optimizer: OptimizerSpec, steps: int
) -> tuple[Tensor, dict[str, Tensor], list[float], list[float]]:
    """Train as the oracle does: a model, an optimizer and a scheduler of its own."""
    assert isinstance(task.train, Split)
    model = task.model(SEED)
    optim = optimizer.make(model.parameters(), lr=1.0)
    scheduler = schedule.build(optim, STEPS, evals=EVALS)
    due, losses, rates = set(evaluation_steps(STEPS, EVALS)), [], []
    for step, rows in enumerate(task.batch_indices(SEED, steps), start=1):
        inputs, targets = task.train.take(rows)
        loss = task.loss(model(inputs), targets)
        optim.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        rates.append(optim.param_groups[0]["lr"])
        optim.step()
        scheduler.step()
        if step in due and schedule.reacts_to_metric:
            scheduler.step(metric(step))  # type: ignore[arg-type]
        losses.append(loss.item())
    params = list(model.parameters())
    state: dict[str, Tensor] = {}
    for name in optim.state[params[0]]:
        values = [torch.as_tensor(optim.state[p][name]) for p in params]
        whole = values[0].dim() == 0
        state[name] = values[0] if whole else torch.cat([v.reshape(-1) for v in values])
    return torch.cat([p.detach().reshape(-1) for p in params]), state, losses, rates


def stacked_loop(
    task: Task,
    schedules: Sequence[Schedule],
    optimizer: OptimizerSpec,
    steps: int,
    *,
    plant: Callable[[Block, Tensor], Tensor] = lambda block, rates: rates,
    shift: int = 0,
    compiled: bool = False,
) -> tuple[Block, Tensor, list[list[float]]]:
    """All schedules on one Block, with the rates of LiveRates; `plant` and `shift` are the bugs."""
    template = Template(recipe_of(task, optimizer))
    weights = map_tensors(
        lambda t: t.expand(len(schedules), *t.shape).clone(), template.weights(SEED)
    )
    stack = Block(template.gradients(), weights, template.layout, template.recipe)
    stepper = CompiledStep(template, len(schedules)) if compiled else Block.step
    live = [
        LiveRates(s, STEPS, steps_per_epoch=task.steps_per_epoch, evals=EVALS) for s in schedules
    ]
    tables: list[list[float]] = [[] for _ in schedules]
    losses, last = [], 0
    assert isinstance(task.train, Split)
    split, batches = task.train, task.batch_indices(SEED, steps)
    for due in evaluation_steps(STEPS, EVALS):
        stop = min(due, steps)
        for rates_of_one, table in zip(live, tables, strict=True):
            table.extend(rate for (rate,) in rates_of_one.over(range(last + 1, stop + 1)))
        for step in range(last, stop):
            rows = next(batches)
            used = [table[max(step - shift, 0)] for table in tables]
            rates = torch.tensor(used, dtype=stack.dtype).unsqueeze(-1)
            losses.append(stepper(stack, [split.take(rows)], plant(stack, rates)))
        for rates_of_one in live:
            rates_of_one.tell(
                Evaluation(due, 0.0, 0.0, metric(due), 0.0, {"accuracy": metric(due)})
            )
        last = stop
        if last == steps:
            break
    return stack, torch.stack(losses, dim=1), tables


def assert_equal(
    task: Task,
    schedules: Sequence[Schedule],
    optimizer: OptimizerSpec,
    *,
    steps: int = STEPS,
    plant: Callable[[Block, Tensor], Tensor] = lambda block, rates: rates,
    shift: int = 0,
    compiled: bool = False,
) -> None:
    stack, losses, tables = stacked_loop(
        task, schedules, optimizer, steps, plant=plant, shift=shift, compiled=compiled
    )
    tolerance = FLOAT64 if stack.dtype == torch.float64 else FLOAT32
    for row, schedule in enumerate(schedules):
        params, state, plain_losses, rates = plain_loop(task, schedule, optimizer, steps)
        assert tables[row] == rates, schedule
        assert close(stack.params[0][row].detach(), params, tolerance), schedule
        assert close(losses[row], torch.tensor(plain_losses, dtype=torch.float64), tolerance), (
            schedule
        )
        for name, value in stack.states[0].items():
            whole = not isinstance(value, Tensor) or value.dim() == 0
            mine = torch.as_tensor(value) if whole else value[row]
            assert close(mine, state[name], tolerance), (schedule, name)


def close(got: Tensor, want: Tensor, tolerance: float) -> bool:
    got, want = got.double(), want.double()
    return bool((got - want).abs().max() <= tolerance * want.abs().max())


def recipe_of(
    task: Task, optimizer: OptimizerSpec = OPTIMIZERS[0], *, evals: int = EVALS
) -> Recipe:
    return Recipe(task, optimizer, evals)


def jobs_of(
    recipe: Recipe,
    schedules: Sequence[Schedule],
    steps: int = 120,
    seed: int | Sequence[int] = SEED,
) -> list[Job]:
    """Return a job for each schedule; all of one seed, or each of its own."""
    seeds = [seed] * len(schedules) if isinstance(seed, int) else seed
    pairs = zip(schedules, seeds, strict=True)
    return [recipe.job(schedule, own, steps) for schedule, own in pairs]


def assert_same_curves(got: Sequence[Curve], want: Sequence[Curve], rel: float = 1e-4) -> None:
    for one, other in zip(got, want, strict=True):
        assert [r.step for r in one.rows] == [r.step for r in other.rows]
        assert [r.lr for r in one.rows] == [r.lr for r in other.rows]
        assert (one.diverged, one.stopped) == (other.diverged, other.stopped)
        finite = [(a, b) for a, b in zip(one.rows, other.rows, strict=True) if b.finite]
        if not one.diverged:
            assert finite
            for a, b in finite:
                assert a.val_loss == pytest.approx(b.val_loss, rel=rel)
                assert a.train_loss == pytest.approx(b.train_loss, rel=rel)
                assert a.value("val_accuracy") == pytest.approx(b.value("val_accuracy"), abs=0.01)
