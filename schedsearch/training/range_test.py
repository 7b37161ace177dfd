"""Learning-rate range test: a training whose rate rises from very low to very high.

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
from schedsearch.tasks.task import seeded
from schedsearch.training.recipe import Recipe

LOWEST, HIGHEST = 1e-6, 10.0
STEPS, SEEDS = 150, 3
_SMOOTHING = 0.9  # factor of the exponential moving average, whose start is bias-corrected
_DIVERGED = 1.2  # times the loss at the start: above it, the rate has become too high
_FELL = 0.95  # times the loss at the start: a loss that stays above it may be noise
_START = 20  # first steps, whose rates are too low to change the loss


@dataclass(frozen=True)
class RangeTest:
    """What range tests on a few seeds recorded, and the range of peak rates that follows.

    The losses are averaged over the seeds and smoothed by an exponential moving average with a
    factor of 0.9. The start is the mean of the smoothed loss over the first 20 steps; the course
    ends before the first step whose smoothed loss is above 1.2 times the start. Two steps of the
    course decide: the step where the smoothed loss is lowest, and, before it, the step where the
    smoothed loss falls fastest (by the difference of the two neighbouring steps). The centre is
    half the geometric mean of the rates at these two steps, and the range goes from a tenth of the
    centre to ten times the centre, rounded to two digits.

    The rate where the loss falls fastest is the usual choice, but too low for Adam; the rate where
    the loss is lowest is too high for a whole training, and scatters more. Tried on digits (mlp,
    cnn) and Fashion-MNIST (mlp), with SGD (momentum 0.9) and Adam, with 5 study seeds: the best
    rates of Constant, CosineAnnealingLR and ExponentialLR in whole trainings of 300 to 900 steps
    lay between 24 % and 82 % of the range (on a logarithmic scale), 53 % on average. With the
    centre where the loss falls fastest, they lay between 36 % and 104 %.

    Args:
        rates: the rate of each step, rising.
        losses: for each seed, the training loss of each step; infinite where it is not finite.
        seconds: how long the tests took.
    """

    rates: tuple[float, ...]
    losses: tuple[tuple[float, ...], ...]
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if not self.losses or any(len(one) != len(self.rates) for one in self.losses):
            raise ValueError("a range test has a loss of each step for each seed")

    @cached_property
    def smoothed(self) -> tuple[float, ...]:
        """The mean loss of the seeds, smoothed; infinite from the first infinite loss on."""
        average, smooth = 0.0, []
        for number, losses in enumerate(zip(*self.losses, strict=True), start=1):
            loss = sum(losses) / len(losses)
            average = _SMOOTHING * average + (1 - _SMOOTHING) * loss
            smooth.append(average / (1 - _SMOOTHING**number))
        return tuple(smooth)

    @cached_property
    def lowest_at(self) -> int:
        """The step, from 0, of the lowest smoothed loss before the loss diverges."""
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
            ConfigError: the loss does not fall.
        """
        smooth, end = self.smoothed, self.lowest_at
        if end < 2 or smooth[end] > _FELL * self._start:
            low, high = self.rates[0], self.rates[-1]
            raise ConfigError(
                f"space.peak_lr = 'auto': the training loss fell at no rate from {low:g} to "
                f"{high:g}: give the range, peak_lr = [low, high]"
            )
        return min(range(1, end), key=lambda i: smooth[i + 1] - smooth[i - 1])

    @property
    def centre(self) -> float:
        """The rate in the middle of the range.

        Raises:
            ConfigError: the loss does not fall.
        """
        return math.sqrt(self.rates[self.steepest_at] * self.rates[self.lowest_at]) / 2

    @property
    def chosen(self) -> tuple[float, float]:
        """The range of peak rates to search.

        Raises:
            ConfigError: the loss does not fall.
        """
        centre = self.centre
        return float(f"{centre / 10:.2g}"), float(f"{centre * 10:.2g}")

    def sentence(self) -> str:
        """Return the range and its origin, in one line."""
        low, high = self.chosen
        return (
            f"peak_lr = {low:g} to {high:g}, by a range test of {len(self.losses)} x "
            f"{len(self.rates)} steps ({self.seconds:.1f} s)"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the test as plain values, which JSON can hold."""
        losses = [[x if math.isfinite(x) else None for x in one] for one in self.losses]
        return {"rates": list(self.rates), "losses": losses, "seconds": self.seconds}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "RangeTest":
        """Return the test that `to_dict` wrote as plain values."""
        losses = (tuple(math.inf if x is None else x for x in one) for one in data["losses"])
        return cls(tuple(data["rates"]), tuple(losses), data["seconds"])


def run_range_test(recipe: Recipe, seed: int) -> RangeTest:
    """Test a recipe's model and optimizer: STEPS steps from LOWEST to HIGHEST, on SEEDS seeds.

    Args:
        recipe: how jobs are trained.
        seed: decides the seeds of the trainings.
    """
    started = perf_counter()
    swept = [_sweep(recipe, derive_seed(seed, "range test", i)) for i in range(SEEDS)]
    losses = torch.stack([losses for _, losses in swept]).tolist()  # the only wait for the device
    finite = (tuple(x if math.isfinite(x) else math.inf for x in one) for one in losses)
    return RangeTest(tuple(swept[0][0]), tuple(finite), perf_counter() - started)


def _sweep(recipe: Recipe, seed: int) -> tuple[Sequence[float], Tensor]:
    """Train with a rate that rises; return the rates, and the losses `[STEPS]` on the device."""
    rates, losses, task = [], [], recipe.trained_task
    with seeded(derive_seed(seed, "training"), task.device):
        model = task.model(seed)
        optim = recipe.make_optimizer(model, LOWEST)
        scheduler = ExponentialLR(optim, gamma=(HIGHEST / LOWEST) ** (1 / (STEPS - 1)))
        for batch in task.batches(seed, STEPS):
            loss = task.loss_of(model, batch)
            optim.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optim.step()
            losses.append(loss.detach())
            rates.append(float(optim.param_groups[0]["lr"]))
            scheduler.step()
    return rates, torch.stack(losses)
