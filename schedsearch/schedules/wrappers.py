"""Compositions of real schedulers, where torch's own composites do something else (or refuse).

A live scheduler of ours is always an `LRScheduler` whose rates come from torch's classes:

    warm-up:   torch's LinearLR  -> the body's own first rate -> the body, as if it had just begun
    two clocks: step() -> the body;  step(metric) -> torch's ReduceLROnPlateau
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LinearLR, LRScheduler, ReduceLROnPlateau


def set_rate(group: dict[str, Any], rate: float | torch.Tensor, key: str = "lr") -> None:
    """Set the rate of a parameter group, in place if the group keeps its rate in a tensor."""
    if isinstance(group.get(key), torch.Tensor):
        group[key].fill_(rate)
    else:
        group[key] = float(rate)


def _rates(optimizer: Optimizer) -> list[float | torch.Tensor]:
    return [
        group["lr"].clone() if isinstance(group["lr"], torch.Tensor) else group["lr"]
        for group in optimizer.param_groups
    ]


class _Composite(LRScheduler):
    """A scheduler that holds others in the attributes named by `parts`, and saves their state."""

    parts: tuple[str, ...] = ()

    def state_dict(self) -> dict[str, Any]:
        """Return the state, with the states of the schedulers inside."""
        kept = {k: v for k, v in self.__dict__.items() if k not in ("optimizer", *self.parts)}
        return kept | {part: _state(getattr(self, part)) for part in self.parts}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state; load the optimizer's too, after this scheduler has been built."""
        self.__dict__.update({k: v for k, v in state_dict.items() if k not in self.parts})
        for part in self.parts:
            if getattr(self, part) is not None:
                getattr(self, part).load_state_dict(dict(state_dict[part]))


def _state(scheduler: LRScheduler | None) -> dict[str, Any] | None:
    return None if scheduler is None else scheduler.state_dict()


class WarmupLR(_Composite):
    """Raise the rate linearly to the body's first rate, then let the body follow its own course.

    torch's SequentialLR does this for some bodies only: others start below their peak, fall at
    once, or are refused. Here the body is built on the optimizer before the warm-up touches it,
    and after `warmup_steps` it finds the rates exactly as it left them. With no body the rate
    stays where the warm-up ends.

    Args:
        optimizer: the optimizer, holding the body's first rates.
        body: the scheduler that takes over, just built; None for none.
        warmup_steps: steps with a rate below the body's first, at least 1.
        start_factor: the first rate as a fraction of the body's first, in (0, 1].
    """

    parts = ("body", "ramp")

    def __init__(
        self,
        optimizer: Optimizer,
        body: LRScheduler | None,
        *,
        warmup_steps: int,
        start_factor: float,
    ) -> None:
        self.optimizer = optimizer
        self.body = body
        self.warmup_steps = warmup_steps
        self.first = _rates(optimizer)
        self.base_lrs = list(self.first)
        self.ramp = LinearLR(optimizer, start_factor=start_factor, total_iters=warmup_steps)
        self.last_epoch = 0
        self._last_lr = _rates(optimizer)

    def step(self, epoch: int | None = None) -> None:
        """Advance by one step."""
        self.last_epoch += 1
        if self.last_epoch < self.warmup_steps:
            self.ramp.step()
        elif self.last_epoch == self.warmup_steps:
            for group, rate in zip(self.optimizer.param_groups, self.first, strict=True):
                set_rate(group, rate)
        elif self.body is not None:
            self.body.step()
        self._last_lr = _rates(self.optimizer)


class PlateauLR(ReduceLROnPlateau):
    """ReduceLROnPlateau with a second clock: `step()` per step, `step(metric)` per evaluation.

    `step()` steps the body (StepLR, CosineAnnealingLR, a warm-up), `step(metric)` is torch's own
    ReduceLROnPlateau. Both move the same rate, as in a loop that steps the two by hand. Metrics
    that arrive before the first step after a warm-up are not counted.

    Args:
        optimizer: the optimizer.
        body: what `step()` steps; None for nothing.
        warmup_steps: steps at the start whose metrics don't count.
        plateau: the arguments of torch's ReduceLROnPlateau.
    """

    def __init__(
        self, optimizer: Optimizer, body: LRScheduler | None, warmup_steps: int, **plateau: Any
    ) -> None:
        super().__init__(optimizer, **plateau)
        self.body = body
        self.warmup_steps = warmup_steps
        self.steps_done = 0

    def step(  # type: ignore[override]  # torch's own override differs from its base class too
        self, metrics: Any = None, epoch: int | None = None
    ) -> None:
        """Advance by one step; with a metric, judge it instead, and cut the rate if due."""
        if metrics is None:
            self.steps_done += 1
            if self.body is not None:
                self.body.step()
            self._last_lr = _rates(self.optimizer)
        elif self.warmup_steps == 0 or self.steps_done > self.warmup_steps:
            self._judge(metrics)

    def _judge(self, metrics: Any) -> None:
        """Step torch's ReduceLROnPlateau; its relative threshold is right for values above zero.

        Below zero, `best * (1 - threshold)` is worse than the best: whatever comes counts as an
        improvement, and the rate is never cut. There the same distance is an absolute threshold.
        """
        if not (math.isfinite(self.best) and self.best < 0):
            super().step(metrics)
            return
        relative, self.threshold_mode = self.threshold, "abs"
        self.threshold = relative * abs(self.best)
        super().step(metrics)
        self.threshold, self.threshold_mode = relative, "rel"

    def state_dict(self) -> dict[str, Any]:
        """Return the state, with the state of the body inside."""
        kept = {k: v for k, v in self.__dict__.items() if k not in ("optimizer", "body")}
        return kept | {"body": _state(self.body)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state; load the optimizer's too, after this scheduler has been built."""
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "body"})
        if self.body is not None:
            self.body.load_state_dict(dict(state_dict["body"]))


class GroupedLR(_Composite):
    """Let one scheduler with one absolute rate (`eta_min`) drive groups of different rates.

    torch's cosine classes take one `eta_min` for all groups, above the whole rate of a group that
    runs far below the others. So the real scheduler drives a single leading rate, and each
    group gets its ratio of it.

    Args:
        optimizer: the optimizer, holding the peak rates.
        build: builds the real scheduler on the optimizer that it is handed.
        peaks: the peak rate of each group; the highest leads.
    """

    parts = ("lead",)

    def __init__(
        self,
        optimizer: Optimizer,
        build: Callable[[Optimizer], LRScheduler],
        peaks: Sequence[float],
    ) -> None:
        self.optimizer = optimizer
        self.base_lrs = list(peaks)
        self.ratios = [peak / max(peaks) for peak in peaks]
        self.lead = build(lead_optimizer(max(peaks)))
        self.lead.optimizer.step()  # torch warns of schedulers stepped before their optimizer
        self.leader = list(peaks).index(max(peaks))
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group.setdefault("initial_lr", peak)  # as torch's own schedulers do
        self.last_epoch = 0
        self._apply()

    def step(self, epoch: int | None = None) -> None:
        """Advance by one step."""
        self.last_epoch += 1
        # a plateau may have cut the rates of the groups: go on from the rates as they are
        now = self.optimizer.param_groups[self.leader]["lr"]
        set_rate(self.lead.optimizer.param_groups[0], float(now))
        self.lead.step()
        self._apply()

    def _apply(self) -> None:
        rate = self.lead.optimizer.param_groups[0]["lr"]
        for group, ratio in zip(self.optimizer.param_groups, self.ratios, strict=True):
            set_rate(group, rate * ratio)
        self._last_lr = _rates(self.optimizer)

    def state_dict(self) -> dict[str, Any]:
        """Return the state, with the leading rate."""
        return super().state_dict() | {"lead_lr": self.lead.optimizer.param_groups[0]["lr"]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state."""
        state = dict(state_dict)
        self.lead.optimizer.param_groups[0]["lr"] = state.pop("lead_lr")
        super().load_state_dict(state)


def lead_optimizer(*rates: float) -> SGD:
    """Return an optimizer of a number for each rate, to step a scheduler on: nothing is trained."""
    groups = [{"params": [torch.zeros(1, requires_grad=True)], "lr": rate} for rate in rates]
    return SGD(groups, lr=rates[0], momentum=0.9)
