"""Train with the schedulers of schedsearch: the same loop as by hand, in pieces if asked."""

import io
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch_loops import EVALS, RATE, STEPS, Row, Seen, tiny_weights, train_step

from schedsearch.schedules.schedule import Schedule, Warmup
from schedsearch.schedules.space import Space, make_space


def schedule_of(row: Row, warmup: int = 0, start_factor: float = 0.01) -> Schedule:
    """Return the row's schedule; with a warm-up, of `warmup` steps before the body's 120."""
    warm = Warmup(warmup / (STEPS + warmup), start_factor) if warmup else None
    return Schedule(row.family, RATE, row.params, warm, evals=EVALS)


def trace(row: Row, warmup: int = 0, start_factor: float = 0.01) -> list[float]:
    metrics = row.metrics(warmup) or None
    return schedule_of(row, warmup, start_factor).trace(STEPS + warmup, metrics=metrics)


def one_group() -> Optimizer:
    return SGD([tiny_weights()], lr=0.003, momentum=0.9)  # the rate is no matter


def two_groups() -> Optimizer:
    """Return an optimizer whose first group learns at a hundredth of the second's rate."""
    groups = [{"params": [tiny_weights()], "lr": rate} for rate in (0.01, 1.0)]
    return SGD(groups, momentum=0.9)


class LiveRun:
    """A run that has come to `step`."""

    def __init__(
        self,
        row: Row,
        warmup: int = 0,
        start_factor: float = 0.01,
        *,
        optimizer: Optimizer | None = None,
        step: int = 0,
    ) -> None:
        self.total_steps = STEPS + warmup
        self.metrics = row.metrics(warmup)
        self.optimizer = optimizer or one_group()
        self.scheduler: LRScheduler = schedule_of(row, warmup, start_factor).build(
            self.optimizer, self.total_steps, last_epoch=step - 1
        )
        self.step = step
        self.seen = Seen()

    def go(self, until: int | None = None) -> Seen:
        every = self.total_steps // EVALS
        for step in range(self.step + 1, (until or self.total_steps) + 1):
            assert self.scheduler.get_last_lr() == [g["lr"] for g in self.optimizer.param_groups]
            self.seen.look(self.optimizer)
            train_step(self.optimizer)
            self.scheduler.step()
            if self.metrics and step % every == 0:
                cast(Any, self.scheduler).step(self.metrics[step // every - 1])
            self.step = step
        return self.seen.finish(self.optimizer)

    def save(self) -> bytes:
        file = io.BytesIO()
        weights = [g["params"][0].detach() for g in self.optimizer.param_groups]
        torch.save(
            (self.step, weights, self.optimizer.state_dict(), self.scheduler.state_dict()), file
        )
        return file.getvalue()

    def load(self, saved: bytes) -> "LiveRun":
        """Take up what was saved; `torch.load` executes nothing that is in it."""
        self.step, weights, optimizer, scheduler = torch.load(io.BytesIO(saved), weights_only=True)
        with torch.no_grad():
            for group, values in zip(self.optimizer.param_groups, weights, strict=True):
                group["params"][0].copy_(values)
        self.optimizer.load_state_dict(optimizer)
        self.scheduler.load_state_dict(scheduler)
        return self


def parts(scheduler: LRScheduler) -> list[LRScheduler]:
    """Return a scheduler with all the schedulers inside it."""
    inside = [getattr(scheduler, name, None) for name in ("body", "ramp", "lead")]
    inside += getattr(scheduler, "_schedulers", [])
    return [scheduler, *(deep for part in inside if part is not None for deep in parts(part))]


USUAL: dict[str, Any] = {
    "peak_lr": (0.01, 1.0),
    "warmup": "optional",
    "warmup_frac": (0.02, 0.1),
    "warmup_start_factor": 0.01,
    "step_unit": "step",
    "evals": 20,
}


def space(families: Sequence[str] | str = "all", **changes: Any) -> Space:
    return make_space(families, **USUAL | changes)
