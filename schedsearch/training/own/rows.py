"""Rows: what a training of the user's own reports, checked, as the rows of its curve."""

import json
import math
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import Any

from schedsearch.errors import TrainingError
from schedsearch.training.curve import Curve, Evaluation
from schedsearch.training.own.report import OWN_COLUMNS
from schedsearch.training.rates import LiveRates
from schedsearch.training.recipe import Job

_LR_TOLERANCE = 1e-3


def evaluation_in(line: str) -> dict[str, Any] | None:
    """Return the evaluation that a line of output holds; None for all other lines.

    >>> evaluation_in('{"step": 50, "val_loss": 0.4}')
    {'step': 50, 'val_loss': 0.4}
    >>> evaluation_in("epoch 3 of 10"), evaluation_in('{"event": "saved"}')
    (None, None)
    """
    line = line.strip()
    if not line.startswith("{"):
        return None
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return values if "step" in values else None


Tell = Callable[[str, str], None]
"""Is told, under a key, of what a person should know; of each key once."""


class Rows:
    """The rows of one training, as it reports them.

    A training has diverged when a number that it reports is not finite.

    Args:
        job: what is trained.
        metrics: the names of the metrics that the study declares.
        tell: told of what looks wrong and is no reason to stop.
    """

    def __init__(self, job: Job, metrics: Collection[str], tell: Tell) -> None:
        self._job, self._metrics, self._tell = job, metrics, tell
        self.rows: list[Evaluation] = []
        self.diverged = False

    @property
    def complete(self) -> bool:
        """Whether the last row stands where the job ends."""
        return bool(self.rows) and self.rows[-1].step >= self._job.end

    def add(self, values: Mapping[str, Any], seconds: float) -> Evaluation:
        """Add the row of an evaluation.

        Args:
            values: what was reported.
            seconds: since the training was started.

        Raises:
            TrainingError: a value that is missing, or that is no number; a step out of order. Its
                text says what the trainer did.
        """
        step = self._step(values["step"])
        known = {name: f"val_{name}" for name in self._metrics if name not in values}
        values = {n: values[v] for n, v in known.items() if v in values} | dict(values)
        wanted = ("val_loss", *self._metrics)
        missing = next((name for name in wanted if name not in values), None)
        if missing is not None:
            declared = ", which [metrics] declares" * (missing != "val_loss")
            raise TrainingError(
                f'reported step {step} without "{missing}"{declared}: {_shown(values)}'
            )
        kept = [name for name in (*wanted, "train_loss", "lr", "seconds") if name in values]
        numbers = {name: _number(name, values[name], step) for name in kept}
        self.diverged = not all(math.isfinite(number) for number in numbers.values())
        self._tell_of_the_rest(values)
        done = self.rows[-1].step if self.rows else 0
        own = self._live.over(range(done + 1, step + 1))[-1][0]
        after = self._live.rate
        row = self._row(step, numbers, own, seconds)
        self._live.tell(row)
        if "lr" in numbers:
            self._compare(row, (own, after, self._live.rate))
        self.rows.append(row)
        return row

    def curve(self, *, stopped: bool = False, failed: bool = False) -> Curve:
        """Return the curve; of a training that failed before its first row, it has an empty one."""
        diverged = self.diverged or failed
        nothing = self._row(0, {}, math.nan, 0.0)
        stopped = stopped and not diverged
        return Curve(tuple(self.rows) or (nothing,), nothing.values, diverged, stopped)

    def _step(self, step: Any) -> int:
        last, end = self.rows[-1].step if self.rows else 0, self._job.total_steps
        if isinstance(step, float) and step.is_integer():
            step = int(step)
        if isinstance(step, bool) or not isinstance(step, int):
            raise TrainingError(f"reported step = {step!r}: a whole number is needed")
        if step <= last:
            raise TrainingError(
                f"reported step {step} after step {last}: steps rise, from 1 at the lowest"
            )
        if step > end:
            raise TrainingError(f"reported step {step} in a training of {end} steps")
        return step

    @cached_property
    def _live(self) -> LiveRates:
        job = self._job  # made when it is needed: the first of a process takes torch a second
        evals = len(job.eval_steps)
        return LiveRates(job.schedule, job.total_steps, steps_per_epoch=1, evals=evals)

    def _compare(self, row: Evaluation, rates: Collection[float]) -> None:
        """Tell of a reported rate that is not the schedule's, before or after its step."""
        if min(abs(row.lr - rate) for rate in rates) > _LR_TOLERANCE * self._job.schedule.peak_lr:
            self._tell(
                "lr",
                f"the trainer reports lr = {row.lr:g} at step {row.step}, and the schedule has "
                f"{next(iter(rates)):g} there: is scheduler.step() called after each of "
                f"{self._job.total_steps} steps?",
            )

    def _row(
        self, step: int, reported: Mapping[str, float], lr: float, seconds: float
    ) -> Evaluation:
        """Return the row of what was reported; what was not is NaN."""
        return Evaluation(
            step=step,
            lr=reported.get("lr", lr),
            train_loss=reported.get("train_loss", math.nan),
            val_loss=reported.get("val_loss", math.nan),
            seconds=reported.get("seconds", seconds),
            metrics={name: reported.get(name, math.nan) for name in self._metrics},
        )

    def _tell_of_the_rest(self, values: Mapping[str, Any]) -> None:
        known = (*OWN_COLUMNS, *self._metrics, *(f"val_{name}" for name in self._metrics))
        rest = [k for k, v in values.items() if k not in known and isinstance(v, int | float)]
        if rest:
            self._tell(
                "rest",
                f"not kept of what the trainer reports: {', '.join(rest)} (a metric is declared in "
                f'the study file: [metrics] {rest[-1]} = "maximize" or "minimize")',
            )


def _number(name: str, value: Any, step: int) -> float:
    """Return a reported value; null, which some write for NaN, is NaN."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TrainingError(f"reported {name} = {value!r} at step {step}: it is no number")
    return float(value)


def _shown(values: Mapping[str, Any]) -> str:
    return json.dumps(dict(values))[:120]
