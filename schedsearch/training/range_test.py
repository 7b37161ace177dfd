"""Learning-rate range test: a training whose rate rises from very low to very high.

L. N. Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017, section 3.3.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, takewhile
from statistics import fmean, stdev
from time import perf_counter
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import ExponentialLR

from schedsearch.errors import ConfigError
from schedsearch.seeds import derive_seed
from schedsearch.tasks.task import seeded
from schedsearch.training.recipe import Recipe
from schedsearch.training.step import make_step

LOWEST, HIGHEST = 1e-6, 10.0
STEPS, PROBES = 150, 2
SEEDS, MOST_SEEDS = 3, 9
_AROUND = 2  # steps to either side over which the mean of the seeds is smoothed
_EARLY = 20  # first steps, whose rates are so low that what moves the loss is mostly noise
_BEGUN = 0.25  # of the fall
_REAL = 5.0  # times the noise of the first steps: a loss that falls by less may not have fallen
_UNSURE = 0.15  # decades: a standard error of the centre above it asks for more seeds


@dataclass(frozen=True)
class RangeTest:
    """What range tests on a few seeds recorded, and the range of peak rates that follows.

    A loss is that on the same few batches after each step, so the luck of a step's own batch moves
    it only through the weights: losses that scatter between batches, such as those of noisy or rare
    classes, can be compared from step to step, whatever their sign or scale. The losses are
    averaged over the seeds, up to the first that is not finite, and smoothed by a moving mean of
    five steps. Two steps decide: the one where the smoothed loss is lowest, and the first that has
    a quarter of the fall until there behind it. The centre is the geometric mean of the rates at
    these two steps, and the range goes from a tenth of the centre to ten times the centre, rounded
    to two digits.

    The fall is real where it exceeds five times the noise in the first 20 steps (the standard
    deviation of second differences, which a slow fall does not move, over the square root of six).

    The rate where the fall begins is too low for a whole training, above all for recurrent models
    and transformers, whose loss first falls to what single tokens give; the rate where the loss is
    lowest is too high for one that overfits. `scripts/bench range` measures the rule: how often
    the best of a grid of rates lies in the range.

    Args:
        rates: the rate of each step, rising.
        losses: for each seed, the loss after each step; infinite where it is not finite.
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
        """The mean loss of the seeds, smoothed, up to the first step where it is not finite."""
        mean = self._mean
        windows = (mean[max(0, i - _AROUND) : i + _AROUND + 1] for i in range(len(mean)))
        return tuple(fmean(window) for window in windows)

    @cached_property
    def _mean(self) -> tuple[float, ...]:
        means = (fmean(losses) for losses in zip(*self.losses, strict=True))
        return tuple(takewhile(math.isfinite, means))

    @property
    def noise(self) -> float:
        """The standard deviation of the noise in the mean loss, at the lowest rates."""
        first = self._mean[: _EARLY + 1]
        bends = [a - 2 * b + c for a, b, c in zip(first, first[1:], first[2:], strict=False)]
        return stdev(bends) / math.sqrt(6) if len(bends) > 1 else math.inf

    @property
    def falls(self) -> bool:
        """Whether the loss falls by more than noise can explain."""
        if len(self.smoothed) <= _EARLY:
            return False
        start, lowest = self.smoothed[0], self.smoothed[self.lowest_at]
        rounding = 1e-6 * max(abs(start), abs(lowest))
        return start - lowest > max(_REAL * self.noise, rounding)

    @property
    def doubt(self) -> str:
        """What to say where the loss does not fall."""
        return (
            f"space.peak_lr = 'auto': the training loss fell at no rate from {self.rates[0]:g} to "
            f"{self.rates[-1]:g} by more than its noise, on {len(self.losses)} seeds"
        )

    @cached_property
    def lowest_at(self) -> int:
        """The step, from 0, of the lowest smoothed loss."""
        return min(range(len(self.smoothed)), key=self.smoothed.__getitem__, default=0)

    @cached_property
    def begun_at(self) -> int:
        """The first step, from 0, with a quarter of the fall to the lowest loss behind it.

        Raises:
            ConfigError: the loss does not fall.
        """
        if not self.falls:
            raise ConfigError(f"{self.doubt}: give the range, peak_lr = [low, high]")
        start, lowest = self.smoothed[0], self.smoothed[self.lowest_at]
        begun = start - _BEGUN * (start - lowest)
        return next(i for i, loss in enumerate(self.smoothed) if loss <= begun)

    @property
    def centre(self) -> float:
        """The rate in the middle of the range.

        Raises:
            ConfigError: the loss does not fall.
        """
        return math.sqrt(self.rates[self.begun_at] * self.rates[self.lowest_at])

    @property
    def chosen(self) -> tuple[float, float]:
        """The range of peak rates to search.

        Raises:
            ConfigError: the loss does not fall.
        """
        centre = self.centre
        return float(f"{centre / 10:.2g}"), float(f"{centre * 10:.2g}")

    @property
    def unsure(self) -> bool:
        """Whether more seeds are wanted: the loss does not fall for each, or they disagree."""
        alone = [RangeTest(self.rates, (one,)) for one in self.losses]
        if not self.falls or not all(each.falls for each in alone):
            return True
        centres = [math.log10(each.centre) for each in alone]
        return len(centres) < 2 or stdev(centres) / math.sqrt(len(centres)) > _UNSURE

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
    """Test a recipe's model and optimizer: STEPS steps from LOWEST to HIGHEST, on several seeds.

    They are SEEDS, and as many again as long as the test is unsure, up to MOST_SEEDS.

    Args:
        recipe: how jobs are trained.
        seed: decides the seeds of the trainings.
    """
    started = perf_counter()
    rates: Sequence[float] = ()
    losses: list[tuple[float, ...]] = []
    while True:
        for _ in range(SEEDS):
            rates, found = _sweep(recipe, derive_seed(seed, "range test", len(losses)))
            losses.append(tuple(x if math.isfinite(x) else math.inf for x in found.tolist()))
        test = RangeTest(tuple(rates), tuple(losses), perf_counter() - started)
        if len(losses) >= MOST_SEEDS or not test.unsure:
            return test


def _sweep(recipe: Recipe, seed: int) -> tuple[Sequence[float], Tensor]:
    """Train with a rate that rises; return the rates, and the losses `[STEPS]` on the device."""
    rates, losses, task = [], [], recipe.trained_task
    with seeded(derive_seed(seed, "training"), task.device):
        model = task.model(seed)
        optim = recipe.make_optimizer(model, LOWEST)
        scheduler = ExponentialLR(optim, gamma=(HIGHEST / LOWEST) ** (1 / (STEPS - 1)))
        probes = list(task.batches(derive_seed(seed, "probes"), PROBES))
        batches = task.batches(seed, STEPS * recipe.accumulate)
        for _ in range(STEPS):
            make_step(recipe, model, optim, islice(batches, recipe.accumulate))
            with torch.no_grad():
                found = [task.loss_of(model, batch) for batch in probes]
            losses.append(torch.stack(found).mean())
            rates.append(max(float(group["lr"]) for group in optim.param_groups))
            scheduler.step()
    return rates, torch.stack(losses)
