"""The fused engine: many schedules in one pass, with the reference engine's signature and results.

Runs differ in their rates alone, so they share the data, the launches and the Python of each step.
Rates that no metric moves are bit-equal to the reference engine's; so are those that a metric moves
when both see the same metrics. Free-running, a metric that lies on the edge of a threshold can
round to the other side, and a plateau then cuts one evaluation earlier or later.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from time import perf_counter

import torch
from torch import Tensor

from schedsearch.schedules import Schedule
from schedsearch.seeds import derive_seed
from schedsearch.tasks.task import Task, seeded
from schedsearch.training.curve import Curve, Evaluation
from schedsearch.training.optimizers import OptimizerSpec
from schedsearch.training.rates import LiveRates
from schedsearch.training.reference import DIVERGE_FACTOR, OnEnd, OnEval
from schedsearch.training.stack import Lane, Stack, plain_lanes
from schedsearch.training.template import Template

STACK = 32
_PIECE = 200  # steps whose batches are drawn at once


def train_fused(
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
    stack: int = STACK,
    lanes: Sequence[Lane] | None = None,
    block: int | None = None,
    fill: bool = False,
) -> list[Curve]:
    """Train a model for each schedule, `stack` of them at once. Arguments as in `train`.

    Args:
        task: what is trained; `why_not_fused` says whether it can be.
        schedules: one schedule a run.
        total_steps: the horizon, in optimizer steps.
        seed: decides weights and batches; one for all runs, or one for each.
        eval_steps: the steps after which the runs are evaluated.
        optimizer: one of FUSABLE_OPTIMIZERS.
        on_eval: called with a run's index and each evaluation that it survives; True stops it.
        on_end: called with a run's index and its curve, as soon as it has ended.
        diverge_factor: as in `train`.
        stack: how many runs are trained at once, K.
        lanes: what the task's blocks are trained with, one for each thread (default: one).
        block: rows of a block of the stack (default: all).
        fill: whether the last block is filled up with copies.

    Returns:
        The curves, in the order of the schedules. A curve's seconds are the run's share of those
        that its stack took.
    """
    seeds = [seed] * len(schedules) if isinstance(seed, int) else list(seed)
    curves: dict[int, Curve] = {}
    lanes, own = lanes or plain_lanes(task), len(set(seeds)) > 1

    def end(index: int, curve: Curve) -> None:
        curves[index] = curve
        if on_end is not None:
            on_end(index, curve)

    for first in range(0, len(schedules), stack):
        runs = range(first, min(first + stack, len(schedules)))
        with seeded(derive_seed(seeds[first], "training"), task.device):
            _Runs(
                lanes[0].template,
                Stack(lanes, [seeds[i] for i in runs], optimizer, block=block, own=own, fill=fill),
                runs=runs,
                rates=[
                    LiveRates(
                        schedules[i],
                        total_steps,
                        steps_per_epoch=task.steps_per_epoch,
                        evals=len(eval_steps),
                    )
                    for i in runs
                ],
                seeds=[seeds[i] for i in runs],
                diverge_factor=diverge_factor,
                on_eval=on_eval,
                on_end=end,
            ).train(total_steps, eval_steps)
    return [curves[i] for i in range(len(schedules))]


class _Runs:
    """The runs of one stack; a row of the stack is a run that has not ended."""

    def __init__(
        self,
        template: Template,
        stack: Stack,
        *,
        runs: Sequence[int],
        rates: Sequence[LiveRates],
        seeds: Sequence[int],
        diverge_factor: float,
        on_eval: OnEval | None,
        on_end: OnEnd,
    ) -> None:
        self.draws, self.task = template.draws, template.task
        self.stack, self.seeds = stack, seeds
        self.runs, self.rates = runs, rates
        self.diverge_factor, self.on_eval, self.on_end = diverge_factor, on_eval, on_end
        self.alive = list(range(len(runs)))  # positions in runs, one for each row of the stack
        self.ended: set[int] = set()
        self.rows: list[list[Evaluation]] = [[] for _ in runs]
        self.seconds = [0.0 for _ in runs]

    def train(self, total_steps: int, eval_steps: Sequence[int]) -> None:
        self.initial = self.stack.evaluate(self.task.validation)[0].tolist()
        batches, last = self._batches(total_steps), 0
        for due in eval_steps:
            self._steps(batches, last, due)
            self.ended |= self._evaluate(due, final=due == eval_steps[-1])
            if len(self.ended) == len(self.runs):
                return
            # random layers draw for the whole stack at once: there, ended runs keep their place
            if not self.draws:
                rows = [row for row, run in enumerate(self.alive) if run not in self.ended]
                if self.stack.frees(len(rows)):
                    self.alive = [self.alive[row] for row in rows]
                    self.stack.keep(rows)
            last = due

    def _batches(self, total_steps: int) -> Iterator[Tensor]:
        """Yield each step's examples `[B]`, or `[places, B]` where each run has its own."""
        if not self.stack.own_batches:
            yield from self.task.batch_indices(self.seeds[0], total_steps)
            return
        each = [self.task.batch_indices(seed, total_steps) for seed in self.seeds]
        for parts in zip(*each, strict=True):
            yield torch.stack([parts[self.alive[row]] for row in self.stack.filled])

    def _steps(self, batches: Iterator[Tensor], last: int, due: int) -> None:
        """Make the steps up to an evaluation; nothing in here waits for the device."""
        steps = range(last + 1, due + 1)
        table = [self.rates[position].over(steps) for position in self.alive]
        filled = [table[row] for row in self.stack.filled]
        device, dtype = self.task.device, self.stack.dtype
        rates = torch.tensor(filled, device=device, dtype=dtype).T.unsqueeze(-1).contiguous()
        started = perf_counter()
        sums = [
            self.stack.train(list(islice(batches, len(piece))), piece)
            for piece in torch.split(rates, _PIECE)
        ]
        self.train_losses = (torch.stack(sums).sum(dim=0) / len(steps)).tolist()  # waits
        running = [position for position in self.alive if position not in self.ended]
        share = (perf_counter() - started) / len(running)
        for position in running:
            self.seconds[position] += share
        self.last_rates = [row[-1] for row in table]

    def _evaluate(self, step: int, *, final: bool) -> set[int]:
        """Record an evaluation of each run, and return the positions of those that end here."""
        losses, accuracies = (v.tolist() for v in self.stack.evaluate(self.task.validation))
        ended: set[int] = set()
        for row, position in enumerate(self.alive):
            if position in self.ended:
                continue
            numbers = (self.last_rates[row], self.train_losses[row], losses[row], accuracies[row])
            evaluation = Evaluation(step, *numbers, self.seconds[position])
            self.rows[position].append(evaluation)
            limit = self.diverge_factor * self.initial[position]
            diverged = not evaluation.finite or evaluation.val_loss > limit
            index = self.runs[position]
            stopped = not diverged and self.on_eval is not None and self.on_eval(index, evaluation)
            if diverged or stopped or final:
                ended.add(position)
                curve = Curve(tuple(self.rows[position]), self.initial[position], diverged, stopped)
                self.on_end(index, curve)
            else:
                self.rates[position].tell(evaluation.val_loss, evaluation.val_accuracy)
        return ended
