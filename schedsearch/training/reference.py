"""The reference engine: one job at a time, in a plain loop. Every other engine must equal it."""

from collections.abc import Callable, Sequence
from functools import partial
from math import ceil
from time import perf_counter
from typing import cast

import torch
from torch import nn

from schedsearch.schedules.wrappers import PlateauLR
from schedsearch.seeds import derive_seed
from schedsearch.tasks.task import evaluate, seeded
from schedsearch.training.curve import Curve, Evaluation
from schedsearch.training.recipe import Ended, Job, OnEnd, OnEval, Recipe


def train(
    recipe: Recipe,
    jobs: Sequence[Job],
    *,
    on_eval: OnEval | None = None,
    on_end: OnEnd | None = None,
) -> list[Curve]:
    """Train the jobs one after the other, on the task's device, and return their curves.

    Args:
        recipe: how each job is trained.
        jobs: what is trained; `recipe.job(schedule, seed, total_steps)` makes one.
        on_eval: called as `on_eval(job, row)` after each evaluation that a job survives; when it
            returns True, the job ends there, and its curve is marked `stopped`.
        on_end: called as `on_end(ended)` as soon as a job has ended, with the job, its curve, and
            its model where the job keeps the model.

    Returns:
        One curve for each job, in the order of the jobs. The rows of a curve hold steps, rates,
        losses, an accuracy in [0, 1], and seconds of training without those of the evaluations.

    Raises:
        ScheduleError: a horizon that is too short for its schedule.
        ConfigError: arguments that the optimizer does not take.

    >>> from schedsearch import OptimizerSpec, Schedule, load_task
    >>> recipe = Recipe(load_task("digits"), OptimizerSpec("SGD", {"momentum": 0.9}), evals=2)
    >>> jobs = [recipe.job(Schedule("StepLR", rate), 0, total_steps=20) for rate in (0.02, 0.05)]
    >>> curves = train(recipe, jobs)
    >>> [row.step for row in curves[0].rows]
    [10, 20]
    >>> curves[0].final.val_loss < curves[0].initial_loss
    True
    """
    curves = []
    for job in jobs:
        model, curve = fit(recipe, job, on_eval=on_eval and partial(on_eval, job))
        curves.append(curve)
        if on_end is not None:
            on_end(Ended(job, curve, model if job.keeps_model else None))
    return curves


def fit(
    recipe: Recipe, job: Job, *, on_eval: Callable[[Evaluation], bool] | None = None
) -> tuple[nn.Module, Curve]:
    """Train one job; return its model and its curve. `on_eval` is called with the row alone."""
    task, schedule = recipe.trained_task, job.schedule
    with seeded(derive_seed(job.seed, "training"), task.device):  # for models that draw: dropout
        model = task.model(job.seed)
        optim = recipe.optimizer.make(model.parameters(), lr=schedule.peak_lr)
        per_epoch = task.steps_per_epoch if schedule.step_unit == "epoch" else 1
        horizon = ceil(job.total_steps / per_epoch)  # in the unit that the scheduler steps in
        scheduler = schedule.build(optim, horizon, evals=len(job.eval_steps))
        initial_loss = float(evaluate(model, task.loss, task.validation)[0])

        rows: list[Evaluation] = []
        due, seconds, started = set(job.eval_steps), 0.0, perf_counter()
        loss_sum = torch.zeros((), device=task.device)
        for step, indices in enumerate(task.batch_indices(job.seed, job.end), start=1):
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
            if row.diverged(initial_loss, recipe.diverge_factor):
                return model, Curve(tuple(rows), initial_loss, diverged=True)
            if on_eval is not None and on_eval(row):
                return model, Curve(tuple(rows), initial_loss, stopped=True)
            if schedule.monitor is not None:
                cast(PlateauLR, scheduler).step(getattr(row, schedule.monitor))
            loss_sum.zero_()
            started = perf_counter()
    return model, Curve(tuple(rows), initial_loss)
