"""Learning-rate range test: one run whose rate rises from very low to very high shows what works.

L. N. Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017, section 3.3.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from time import perf_counter
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import ExponentialLR

from schedsearch.errors import ConfigError
from schedsearch.seeds import derive_seed
from schedsearch.tasks.task import Task, seeded
from schedsearch.training.optimizers import OptimizerSpec

LOWEST, HIGHEST = 1e-6, 10.0
STEPS, SEEDS = 150, 3
_SMOOTHING = 0.9  # an exponential moving average, its start corrected
_DIVERGED = 1.2  # times the loss at the start: the rate has become too high
_FELL = 0.95  # times the loss at the start: less of a fall may be noise
_START = 20  # steps at the lowest rates, which change next to nothing


@dataclass(frozen=True)
class RangeTest:
    """What range tests on a few seeds recorded, and the range of rates that follows from them.

    The losses are averaged over the seeds and smoothed: an exponential moving average with a factor
    of 0.9. Its mean over the first 20 steps is where it starts. Its course ends before the first
    step at which it is above 1.2 times the start; the step where it is lowest until then is the
    last at which the rate still helped, and on the way there is a step where it falls fastest (by
    the difference of its two neighbours). The centre is half the geometric mean of the rates at
    these two steps, and the range goes from a tenth of the centre to ten times it, to two digits.

    Where it falls fastest is the usual choice, but for Adam too low; where it is lowest is too high
    for a whole run, and scatters more. Tried on digits (mlp, cnn) and Fashion-MNIST (mlp), with SGD
    (momentum 0.9) and Adam, with 5 study seeds: the best rates of Constant, CosineAnnealingLR and
    ExponentialLR in whole runs of 300 to 900 steps lay between 24 % and 82 % of the range (on a
    logarithmic scale), 53 % on average. With the centre where it falls fastest: 36 % to 104 %.

    Args:
        rates: of each step, rising.
        losses: of each seed, the training loss of each step; infinite where it is no number.
        seconds: what it took.
    """

    rates: tuple[float, ...]
    losses: tuple[tuple[float, ...], ...]
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if not self.losses or any(len(one) != len(self.rates) for one in self.losses):
            raise ValueError("a range test has a loss of each step for each seed")

    @cached_property
    def smoothed(self) -> tuple[float, ...]:
        """The mean loss of the seeds, smoothed; infinite from the first step that has none."""
        average, smooth = 0.0, []
        for number, losses in enumerate(zip(*self.losses, strict=True), start=1):
            loss = sum(losses) / len(losses)
            average = _SMOOTHING * average + (1 - _SMOOTHING) * loss
            smooth.append(average / (1 - _SMOOTHING**number))
        return tuple(smooth)

    @cached_property
    def lowest_at(self) -> int:
        """The step, from 0, of the lowest smoothed loss before it diverges."""
        smooth, limit = self.smoothed, _DIVERGED * self._start
        end = next((i for i, loss in enumerate(smooth) if not loss <= limit), len(smooth))
        return min(range(end), key=smooth.__getitem__, default=0)

    @property
    def _start(self) -> float:
        first = self.smoothed[:_START]
        return sum(first) / len(first)

    @cached_property
    def steepest_at(self) -> int:
        """The step, from 0, at which the smoothed loss falls fastest.

        Raises:
            ConfigError: it doesn't fall.
        """
        smooth, end = self.smoothed, self.lowest_at
        if end < 2 or smooth[end] > _FELL * self._start:
            low, high = self.rates[0], self.rates[-1]
            raise ConfigError(
                f"space.base_lr = 'auto': the training loss fell at no rate from {low:g} to "
                f"{high:g}: give the range, base_lr = [low, high]"
            )
        return min(range(1, end), key=lambda i: smooth[i + 1] - smooth[i - 1])

    @property
    def centre(self) -> float:
        """The rate in the middle of the range.

        Raises:
            ConfigError: the loss doesn't fall.
        """
        return math.sqrt(self.rates[self.steepest_at] * self.rates[self.lowest_at]) / 2

    @property
    def chosen(self) -> tuple[float, float]:
        """The range of base rates to search.

        Raises:
            ConfigError: the loss doesn't fall.
        """
        centre = self.centre
        return float(f"{centre / 10:.2g}"), float(f"{centre * 10:.2g}")

    def sentence(self) -> str:
        """Say the range and where it comes from, in a line."""
        low, high = self.chosen
        return (
            f"base_lr = {low:g} to {high:g}, by a range test of {len(self.losses)} x "
            f"{len(self.rates)} steps ({self.seconds:.1f} s)"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        losses = [[x if math.isfinite(x) else None for x in one] for one in self.losses]
        return {"rates": list(self.rates), "losses": losses, "seconds": self.seconds}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "RangeTest":
        """Make it of what `to_dict` gave."""
        losses = (tuple(math.inf if x is None else x for x in one) for one in data["losses"])
        return cls(tuple(data["rates"]), tuple(losses), data["seconds"])


def run_range_test(task: Task, optimizer: OptimizerSpec, seed: int) -> RangeTest:
    """Test a task's model and optimizer: STEPS steps from LOWEST to HIGHEST, on SEEDS seeds.

    Args:
        task: what is trained.
        optimizer: with which optimizer.
        seed: decides the seeds of the runs.
    """
    started = perf_counter()
    runs = [_sweep(task, optimizer, derive_seed(seed, "range test", i)) for i in range(SEEDS)]
    losses = torch.stack([losses for _, losses in runs]).tolist()  # the only wait for the device
    finite = (tuple(x if math.isfinite(x) else math.inf for x in one) for one in losses)
    return RangeTest(tuple(runs[0][0]), tuple(finite), perf_counter() - started)


def _sweep(task: Task, optimizer: OptimizerSpec, seed: int) -> tuple[Sequence[float], Tensor]:
    """Train with a rate that rises; return the rates, and the losses `[STEPS]` on the device."""
    rates, losses = [], []
    with seeded(derive_seed(seed, "training"), task.device):
        model = task.model(seed)
        optim = optimizer.make(model.parameters(), lr=LOWEST)
        scheduler = ExponentialLR(optim, gamma=(HIGHEST / LOWEST) ** (1 / (STEPS - 1)))
        for indices in task.batch_indices(seed, STEPS):
            loss = task.loss(model(task.train.inputs[indices]), task.train.targets[indices])
            optim.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optim.step()
            losses.append(loss.detach())
            rates.append(float(optim.param_groups[0]["lr"]))
            scheduler.step()
    return rates, torch.stack(losses)
