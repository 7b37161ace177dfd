"""The fused engine: many jobs in one pass, with the signature and results of the reference engine.

The jobs of a stack differ in their rates alone, so they share the data, the launches and the Python
of each step. Rates that no metric moves are bit-equal to those of the reference engine; so are
rates that a metric moves when both engines see the same metrics. A metric that lies on the edge of
a threshold can round to the other side of it; a plateau then cuts one evaluation earlier or later.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter

import torch
from torch import Tensor

from schedsearch.seeds import derive_seed
from schedsearch.tasks.task import seeded
from schedsearch.training.curve import Curve, Evaluation
from schedsearch.training.divergence import Start, diverged
from schedsearch.training.fused.batches import StackBatches
from schedsearch.training.fused.stack import Lane, Stack, plain_lanes
from schedsearch.training.rates import LiveRates
from schedsearch.training.recipe import Ended, Job, OnEnd, OnEval, Recipe, by_course

STACK = 32


def train_fused(
    recipe: Recipe,
    jobs: Sequence[Job],
    *,
    on_eval: OnEval | None = None,
    on_end: OnEnd | None = None,
    stack: int = STACK,
    lanes: Sequence[Lane] | None = None,
    block: int | None = None,
    own: bool | None = None,
    fill: bool = False,
) -> list[Curve]:
    """Train the jobs, `stack` of them at once. Arguments and result otherwise as in `train`.

    Args:
        recipe: how each job is trained; `why_not_fused` tells whether it can be.
        jobs: what is trained. Jobs of one stack have equal steps and evaluations.
        on_eval: called after each evaluation that a job survives; True stops the job.
        on_end: called as soon as a job has ended; it gets no model.
        stack: how many jobs are trained at once, K.
        lanes: what the blocks are trained with, one for each thread (default: one lane).
        block: rows of a block of the stack (default: all).
        own: whether each job has batches of its own (default: where seeds differ).
        fill: whether the last block is filled up with copies.

    Returns:
        The curves, in the order of the jobs. The seconds of a curve are the job's share of the
        seconds that its stack took.
    """
    lanes = lanes or plain_lanes(recipe)
    own = len({job.seed for job in jobs}) > 1 if own is None else own
    curves: dict[Job, Curve] = {}

    def end(ended: Ended) -> None:
        curves[ended.job] = ended.curve
        if on_end is not None:
            on_end(ended)

    for course in by_course(jobs):
        for first in range(0, len(course), stack):
            part = course[first : first + stack]
            with seeded(derive_seed(part[0].seed, "training"), recipe.task.device):
                seeds = [job.seed for job in part]
                rows = Stack(lanes, seeds, block=block, own=own, fill=fill)
                _StackTraining(recipe, part, rows, on_eval, end).train()
    return [curves[job] for job in jobs]


@dataclass(eq=False)
class _Row:
    """A job while it is trained, and what it has recorded so far."""

    job: Job
    rates: LiveRates
    start: Start
    rows: list[Evaluation] = field(default_factory=list)
    seconds: float = 0.0
    ended: bool = False


class _StackTraining:
    """The training of the jobs of one stack, all of the same course.

    Args:
        recipe: how they are trained.
        jobs: one for each row of the stack.
        stack: the stack, untrained.
        on_eval: as in `train_fused`.
        on_end: as in `train_fused`.
    """

    def __init__(
        self,
        recipe: Recipe,
        jobs: Sequence[Job],
        stack: Stack,
        on_eval: OnEval | None,
        on_end: OnEnd,
    ) -> None:
        self.recipe, self.task, self.stack = recipe, recipe.trained_task, stack
        self.on_eval, self.on_end = on_eval, on_end
        # one for each row of the stack
        self.held = [_Row(job, self._rates(job), recipe.start(job.seed)) for job in jobs]

    def _rates(self, job: Job) -> LiveRates:
        return LiveRates(
            job.schedule,
            job.total_steps,
            steps_per_epoch=self.recipe.steps_per_epoch,
            evals=len(job.eval_steps),
            factors=self.stack.factors,
        )

    def train(self) -> None:
        """Train until all jobs have ended."""
        job, last = self.held[0].job, 0
        seeds = [row.job.seed for row in self.held]
        count = job.end * self.recipe.accumulate
        batches = StackBatches(self.task, seeds, count, own=self.stack.own_batches)
        for due in job.steps_evaluated:
            train_losses, rates = self._steps(batches, range(last + 1, due + 1))
            self._evaluate(due, train_losses, rates, final=due == job.end)
            if all(row.ended for row in self.held):
                return
            # random layers draw for the whole stack at once: there, ended jobs keep their place
            if not self.stack.draws:
                self._drop_ended()
            last = due

    def _drop_ended(self) -> None:
        left = [number for number, row in enumerate(self.held) if not row.ended]
        if self.stack.frees(len(left)):
            self.held = [self.held[number] for number in left]
            self.stack.keep(left)

    def _steps(self, batches: StackBatches, steps: range) -> tuple[list[float], list[float]]:
        """Make the steps up to an evaluation; nothing waits for the device before the last step.

        Returns:
            For each row, the mean training loss of the steps, and the rate of the last step.
        """
        table = [row.rates.over(steps) for row in self.held]
        filled = [table[number] for number in self.stack.filled]
        device, dtype = self.task.device, self.stack.dtype
        rates = torch.tensor(filled, device=device, dtype=dtype).transpose(0, 1).contiguous()
        started, each = perf_counter(), self.recipe.accumulate
        seeds = [self.held[number].job.seed for number in self.stack.filled]
        sums = [
            self.stack.train(batches.draw(len(piece) * each, seeds), piece)
            for piece in torch.split(rates, max(1, batches.piece(seeds) // each))
        ]
        losses: list[float] = (torch.stack(sums).sum(dim=0) / len(steps)).tolist()  # waits
        running = [row for row in self.held if not row.ended]
        share = (perf_counter() - started) / len(running)
        for row in running:
            row.seconds += share
        return losses, [max(rates_of_row[-1]) for rates_of_row in table]

    def _evaluate(
        self, step: int, train_losses: Sequence[float], rates: Sequence[float], *, final: bool
    ) -> None:
        """Record an evaluation of each job, and end the jobs that end here."""
        values = _listed(self.stack.evaluate())
        ema = None if self.recipe.ema is None else _listed(self.stack.evaluate(averaged=True))
        for number, row in enumerate(self.held):
            if row.ended:
                continue
            evaluation = Evaluation.measured(
                step,
                rates[number],
                train_losses[number],
                row.seconds,
                values[number],
                None if ema is None else ema[number],
            )
            row.rows.append(evaluation)
            is_diverged = diverged(row.rows, row.start.limit)
            stopped = not is_diverged and self._stops(row.job, evaluation)
            if is_diverged or stopped or final:
                row.ended = True
                curve = Curve(tuple(row.rows), row.start.values, is_diverged, stopped)
                self.on_end(Ended(row.job, curve))
            else:
                row.rates.tell(evaluation)

    def _stops(self, job: Job, evaluation: Evaluation) -> bool:
        return self.on_eval is not None and self.on_eval(job, evaluation)


def _listed(values: Mapping[str, Tensor]) -> list[dict[str, float]]:
    """Return what was evaluated as numbers, for each row; this waits for the device."""
    columns = [value.tolist() for value in values.values()]
    return [dict(zip(values, row, strict=True)) for row in zip(*columns, strict=True)]
