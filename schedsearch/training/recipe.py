"""Recipe, Job: how something is trained, and one training; and who hands out jobs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Literal, Protocol, TypeAlias, get_args

import torch
from torch import nn

from schedsearch.horizon import evaluation_steps
from schedsearch.objective import Objective, find_objective, objectives_of
from schedsearch.schedules.schedule import Schedule
from schedsearch.tasks.task import Task
from schedsearch.training.curve import Curve, Evaluation
from schedsearch.training.divergence import DIVERGE_FACTOR, Start, start_of
from schedsearch.training.optimizers import OptimizerSpec
from schedsearch.training.own.task import OwnTask
from schedsearch.training.precision import in_bf16

Precision: TypeAlias = Literal["full", "bf16"]


@dataclass(frozen=True, eq=False)
class Recipe:
    """How a job is trained, at any horizon.

    Args:
        task: the task as it was loaded, in full precision; or what a trainer of the user's own
            trains, which decides all that follows but the number of evaluations.
        optimizer: the optimizer, with all arguments except the learning rate.
        evals: the number of evaluations of one training, evenly spread over its steps.
        diverge_factor: how many times its own size the training loss may reach; see `divergence`.
        precision: "full", or "bf16" for matrix products and convolutions in bfloat16.
        clip_norm: the largest norm of the gradient of all parameters together; None: no limit.
        accumulate: batches of one optimizer step, whose gradients are averaged.
        ema: the decay of an exponential moving average of the weights, which is evaluated beside
            the weights themselves; None: no average.

    Raises:
        ValueError: no evaluation, or a number that is not allowed.
    """

    task: Task | OwnTask
    optimizer: OptimizerSpec
    evals: int
    diverge_factor: float = DIVERGE_FACTOR
    precision: Precision = "full"
    clip_norm: float | None = None
    accumulate: int = 1
    ema: float | None = None

    def __post_init__(self) -> None:
        if self.evals < 1:
            raise ValueError(f"evals = {self.evals}: a training has at least one evaluation")
        if not self.diverge_factor > 0:
            raise ValueError(f"diverge_factor = {self.diverge_factor} is not positive")
        if self.precision not in get_args(Precision):
            allowed = ", ".join(get_args(Precision))
            raise ValueError(f"unknown precision {self.precision!r} (allowed: {allowed})")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise ValueError(f"clip_norm = {self.clip_norm} is not positive")
        if self.accumulate < 1:
            raise ValueError(f"accumulate = {self.accumulate}: a step has at least one batch")
        if self.ema is not None and not 0 < self.ema < 1:
            raise ValueError(f"ema = {self.ema} is not between 0 and 1")

    @cached_property
    def trained_task(self) -> Task:
        """The task in the recipe's precision: the one that an engine trains."""
        if isinstance(self.task, OwnTask):
            raise TypeError(f"{self.task.name} is trained by a trainer of the user's own")
        return in_bf16(self.task) if self.precision == "bf16" else self.task

    @cached_property
    def objectives(self) -> tuple[Objective, ...]:
        """All that a training can be compared by."""
        metrics = [(m.name, m.direction, m.words, m.is_share) for m in self.task.metrics]
        return objectives_of(metrics, averaged=self.ema is not None)

    @property
    def steps_per_epoch(self) -> int:
        """Whole optimizer steps in one pass over the training examples, at least one."""
        return max(1, self.task.steps_per_epoch // self.accumulate)

    @property
    def target(self) -> tuple[Objective, float] | None:
        """What a training is to reach; None for nothing."""
        if self.task.target is None:
            return None
        name, value = self.task.target
        return find_objective(name, self.objectives), value

    @cached_property
    def _starts(self) -> dict[int, Start]:
        return {}

    def start(self, seed: int) -> Start:
        """Return what the untrained model of a seed gives; it is measured once."""
        if seed not in self._starts:
            start = start_of(self.trained_task, seed, self.diverge_factor)
            if self.ema is not None:  # the average begins as the weights themselves
                averaged = {f"ema_{name}": value for name, value in start.values.items()}
                start = replace(start, values={**start.values, **averaged})
            self._starts[seed] = start
        return self._starts[seed]

    def make_optimizer(self, model: nn.Module, rate: float) -> torch.optim.Optimizer:
        """Return the optimizer of a model, whose groups have the rate times their lr_factor.

        Raises:
            ConfigError: arguments that the optimizer does not take, or groups that do not fit.
        """
        return self.optimizer.make(self.trained_task.parameter_groups(model), rate)

    def channels_last(self) -> "Recipe":
        """Return the recipe with images and models in torch's channels_last memory format."""
        if isinstance(self.task, OwnTask):
            return self
        return replace(self, task=self.task.channels_last())

    def job(
        self, schedule: Schedule, seed: int, total_steps: int, *, keeps_model: bool = False
    ) -> "Job":
        """Return the job of a schedule at a horizon, with the recipe's evaluations.

        Raises:
            ScheduleError: the horizon has fewer steps than the recipe has evaluations.
        """
        steps = evaluation_steps(total_steps, self.evals)
        return Job(schedule, seed, total_steps, steps, keeps_model=keeps_model)


@dataclass(frozen=True, eq=False)
class Job:
    """One training. Its identity is the object: two jobs with equal fields are two jobs.

    Args:
        schedule: the schedule.
        seed: decides the initial weights, the batches, and what the model draws (dropout).
        total_steps: the horizon of the schedule, in optimizer steps.
        eval_steps: the steps after which the model is evaluated, rising; the last is total_steps,
            unless the training ends before. The schedule is built with their number, whatever
            last_step is.
        last_step: the evaluation step after which the training ends, where a rung cuts the full
            training; None: total_steps.
        keeps_model: whether the trained model is handed back.

    Raises:
        ValueError: evaluation steps that do not rise to total_steps, or a last_step that is none
            of them.

    >>> job = Job(Schedule("StepLR", 0.1), 0, 300, (100, 200, 300), last_step=200)
    >>> job.end, job.steps_evaluated
    (200, (100, 200))
    """

    schedule: Schedule
    seed: int
    total_steps: int
    eval_steps: tuple[int, ...]
    last_step: int | None = None
    keeps_model: bool = False

    def __post_init__(self) -> None:
        steps = self.eval_steps
        rising = all(one < other for one, other in pairwise((0, *steps)))
        whole = self.last_step is not None or (bool(steps) and steps[-1] == self.total_steps)
        if not steps or not rising or not whole or steps[-1] > self.total_steps:
            raise ValueError(
                f"eval_steps = {steps}: they must rise, from 1 at the lowest, and end with "
                f"total_steps = {self.total_steps}"
            )
        if self.last_step is not None and self.last_step not in steps:
            raise ValueError(f"last_step = {self.last_step} is none of eval_steps = {steps}")

    @property
    def end(self) -> int:
        """The number of steps after which the training ends, unless it is stopped before."""
        return self.total_steps if self.last_step is None else self.last_step

    @property
    def steps_evaluated(self) -> tuple[int, ...]:
        """The evaluation steps up to the end."""
        return tuple(step for step in self.eval_steps if step <= self.end)


def by_course(jobs: Sequence[Job]) -> list[list[Job]]:
    """Group jobs that can be trained side by side: those with equal steps and evaluations.

    Groups, and the jobs of a group, are in the order of the jobs.
    """
    groups: dict[object, list[Job]] = {}
    for job in jobs:
        groups.setdefault((job.total_steps, job.eval_steps, job.end), []).append(job)
    return list(groups.values())


@dataclass(frozen=True, eq=False)
class Ended:
    """A job that has ended, and what it gave.

    Args:
        job: the job.
        curve: what it recorded.
        model: the trained model, only where the job keeps it.
    """

    job: Job
    curve: Curve
    model: nn.Module | None = None


OnEval: TypeAlias = Callable[[Job, Evaluation], bool]
"""Is told of each evaluation that a job survives; returns True to stop that job."""

OnEnd: TypeAlias = Callable[[Ended], None]
"""Is told of each job as soon as it has ended."""


class JobSource(Protocol):
    """Who is asked for jobs, and told what they gave."""

    def ask(self, room: int) -> Sequence[Job]:
        """Return at most `room` jobs to train next; none ends the training."""

    def evaluated(self, job: Job, row: Evaluation) -> bool:
        """Take note of an evaluation that a job survived; return True to stop the job."""

    def ended(self, ended: Ended) -> None:
        """Take note of a job that has ended: trained, stopped or diverged."""


class JobTrainer(Protocol):
    """Who trains jobs: an engine in the way that was chosen, or a trainer of the user's own."""

    def run(self, source: JobSource) -> None:
        """Ask for jobs until there are none, train them, and report evaluations and ends."""
