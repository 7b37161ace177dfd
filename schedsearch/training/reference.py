"""The reference engine: one job at a time, in a plain loop. Every other engine must equal it."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from math import ceil
from time import perf_counter
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from schedsearch.schedules.wrappers import PlateauLR
from schedsearch.seeds import derive_seed
from schedsearch.tasks.evaluate import evaluate
from schedsearch.tasks.task import seeded
from schedsearch.training.curve import Curve, Evaluation
from schedsearch.training.divergence import diverged
from schedsearch.training.recipe import Ended, Job, OnEnd, OnEval, Recipe
from schedsearch.training.step import make_step


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
    task, schedule, start = recipe.trained_task, job.schedule, recipe.start(job.seed)
    with seeded(derive_seed(job.seed, "training"), task.device):  # for models that draw: dropout
        model = task.model(job.seed)
        optim = recipe.make_optimizer(model, schedule.peak_lr)
        per_epoch = recipe.steps_per_epoch if schedule.step_unit == "epoch" else 1
        horizon = ceil(job.total_steps / per_epoch)  # in the unit that the scheduler steps in
        scheduler = schedule.build(optim, horizon, evals=len(job.eval_steps))
        averaged = averaged_model(model, recipe.ema)

        rows: list[Evaluation] = []
        due, seconds, started = set(job.eval_steps), 0.0, perf_counter()
        loss_sum = torch.zeros((), device=task.device)
        batches = task.batches(job.seed, job.end * recipe.accumulate)
        for step in range(1, job.end + 1):
            loss_sum += make_step(recipe, model, optim, islice(batches, recipe.accumulate))
            if averaged is not None:
                averaged.update_parameters(model)
            if step in due:
                rate = max(float(group["lr"]) for group in optim.param_groups)
            if step % per_epoch == 0:
                scheduler.step()
            if step not in due:
                continue

            train_loss = float(loss_sum) / (step - (rows[-1].step if rows else 0))  # waits for it
            seconds += perf_counter() - started
            values = as_floats(evaluate(model, task))
            ema = None if averaged is None else as_floats(evaluate(averaged.module, task))
            rows.append(Evaluation.measured(step, rate, train_loss, seconds, values, ema))
            if diverged(rows, start.limit):
                return model, Curve(tuple(rows), start.values, diverged=True)
            if on_eval is not None and on_eval(rows[-1]):
                return model, Curve(tuple(rows), start.values, stopped=True)
            if schedule.monitor is not None:
                cast(PlateauLR, scheduler).step(rows[-1].value(schedule.monitor))
            loss_sum.zero_()
            started = perf_counter()
    return model, Curve(tuple(rows), start.values)


def averaged_model(model: nn.Module, decay: float | None) -> AveragedModel | None:
    """Return torch's exponential moving average of a model's weights; None without a decay."""
    if decay is None:
        return None
    update = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return AveragedModel(model, multi_avg_fn=update)


def as_floats(values: Mapping[str, Tensor]) -> dict[str, float]:
    """Return what was evaluated as numbers; this waits for the device."""
    return {name: float(value) for name, value in values.items()}
