"""The reference engine: one run at a time, in a plain loop. It is what every other must equal."""

from collections.abc import Callable, Sequence
from math import ceil
from time import perf_counter
from typing import TypeAlias, cast

import torch
from torch import nn

from schedsearch.schedules import Schedule
from schedsearch.schedules.compose import PlateauLR
from schedsearch.seeds import derive_seed
from schedsearch.tasks.task import Task, evaluate, seeded
from schedsearch.training.curve import Curve, Evaluation
from schedsearch.training.optimizers import OptimizerSpec

# Told of each evaluation of the run at an index; returns True to stop that run.
OnEval: TypeAlias = Callable[[int, Evaluation], bool]

# Told of each run as it ends, at its index.
OnEnd: TypeAlias = Callable[[int, Curve], None]

DIVERGE_FACTOR = 3.0  # a validation loss this far above that of the untrained model is given up


def train(
    task: Task,
    schedules: Sequence[Schedule],
    *,
    total_steps: int,
    seed: int | Sequence[int],
    eval_steps: Sequence[int],
    optimizer: OptimizerSpec,
    on_eval: OnEval | None = None,
    on_end: OnEnd | None = None,
    diverge_factor: float = DIVERGE_FACTOR,
) -> list[Curve]:
    """Train a model for each schedule, on the task's device, and return what each recorded.

    Args:
        task: what is trained.
        schedules: one schedule a run.
        total_steps: the horizon, in optimizer steps.
        seed: decides weights and batches; one for all runs, or one for each.
        eval_steps: the steps after which a run is evaluated (see `evaluation_steps`).
        optimizer: which optimizer, with its arguments.
        on_eval: called with a run's index and each evaluation that it survives; True stops it.
        on_end: called with a run's index and its curve, as soon as it has ended.
        diverge_factor: a run ends as diverged when its validation loss is not finite, or more
            than this many times that of the untrained model.

    Returns:
        The curves, in the order of the schedules.
    """
    seeds = [seed] * len(schedules) if isinstance(seed, int) else list(seed)
    curves = []
    for index, (schedule, own_seed) in enumerate(zip(schedules, seeds, strict=True)):
        tell = None if on_eval is None else (lambda row, i=index: on_eval(i, row))
        _, curve = fit(
            task,
            schedule,
            total_steps=total_steps,
            seed=own_seed,
            eval_steps=eval_steps,
            optimizer=optimizer,
            on_eval=tell,
            diverge_factor=diverge_factor,
        )
        curves.append(curve)
        if on_end is not None:
            on_end(index, curve)
    return curves


def fit(
    task: Task,
    schedule: Schedule,
    *,
    total_steps: int,
    seed: int,
    eval_steps: Sequence[int],
    optimizer: OptimizerSpec,
    on_eval: Callable[[Evaluation], bool] | None = None,
    diverge_factor: float = DIVERGE_FACTOR,
) -> tuple[nn.Module, Curve]:
    """Train one model with one schedule; return it with its curve. Arguments as in `train`."""
    with seeded(derive_seed(seed, "training"), task.device):  # for models that draw: dropout
        model = task.model(seed)
        optim = optimizer.make(model.parameters(), lr=schedule.base_lr)
        per_epoch = task.steps_per_epoch if schedule.step_unit == "epoch" else 1
        horizon = ceil(total_steps / per_epoch)  # in the unit that the scheduler steps in
        scheduler = schedule.build(optim, horizon, evals=len(eval_steps))
        initial_loss = float(evaluate(model, task.loss, task.validation)[0])

        rows: list[Evaluation] = []
        due, seconds, started = set(eval_steps), 0.0, perf_counter()
        loss_sum = torch.zeros((), device=task.device)
        for step, indices in enumerate(task.batch_indices(seed, total_steps), start=1):
            loss = task.loss(model(task.train.inputs[indices]), task.train.targets[indices])
            optim.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optim.step()
            loss_sum += loss.detach()
            if step in due:
                rate = float(optim.param_groups[0]["lr"])
            if step % per_epoch == 0:
                scheduler.step()
            if step not in due:
                continue

            train_loss = float(loss_sum) / (step - (rows[-1].step if rows else 0))  # waits for it
            seconds += perf_counter() - started
            val_loss, val_accuracy = evaluate(model, task.loss, task.validation)
            numbers = (rate, train_loss, float(val_loss), float(val_accuracy), seconds)
            row = Evaluation(step, *numbers)
            rows.append(row)
            if not row.finite or row.val_loss > diverge_factor * initial_loss:
                return model, Curve(tuple(rows), initial_loss, diverged=True)
            if on_eval is not None and on_eval(row):
                return model, Curve(tuple(rows), initial_loss, stopped=True)
            if schedule.monitor is not None:
                cast(PlateauLR, scheduler).step(getattr(row, schedule.monitor))
            loss_sum.zero_()
            started = perf_counter()
    return model, Curve(tuple(rows), initial_loss)
