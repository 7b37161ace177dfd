"""Plan: what a study will do. It leaves nothing open: whoever has one needs no study file."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path
from typing import Any, Literal

from schedsearch.horizon import STEPS, Unit
from schedsearch.objective import Objective
from schedsearch.schedules.space import Space
from schedsearch.search.rungs import Rungs
from schedsearch.tasks.task import TaskSource
from schedsearch.training.choice.way import EngineWish
from schedsearch.training.recipe import Recipe

Kind = Literal["full", "squeeze", "truncate"]
"""The kinds of rungs that a search can have."""


@dataclass(frozen=True)
class Sampling:
    """How the trials of one Optuna study are drawn.

    Args:
        sampler: a name of SAMPLERS.
        args: its arguments.
        history: the most finished trials that a sampler sees which learns from part; 0: all.
        seed: decides the draws, with the number of each trial.
    """

    sampler: str
    args: Mapping[str, Any] = field(default_factory=dict)
    history: int = 0
    seed: int = 0


@dataclass(frozen=True, eq=False)
class SubSearch:
    """What one Optuna study of a run searches: all of a search, one family, or random checks.

    Args:
        space: what is sampled.
        sampling: how it is sampled.
        trials: the total of trials.
        batch: the trials that are asked and compared together, a cohort.
        rungs: the horizons at which they are tried.
        family: the one family that it has, in rank mode; empty where trials sample the family.
    """

    space: Space
    sampling: Sampling
    trials: int
    batch: int
    rungs: Rungs
    family: str = ""

    def with_rates(self, low: float, high: float) -> "SubSearch":
        """Return the part with another range of peak rates."""
        return replace(self, space=self.space.with_rates(low, high))

    def steps(self, trials: int) -> int:
        """Return the optimizer steps that trials take when none diverges or is pruned."""
        whole, rest = divmod(trials, self.batch)
        return whole * self.rungs.steps(self.batch) + self.rungs.steps(rest)

    def trial_in_words(self, number: int) -> str:
        """Return the name of a trial in a sentence."""
        return f"trial {number} of {self.family}" if self.family else f"trial {number}"


@dataclass(frozen=True)
class ConfirmationPlan:
    """What is confirmed when the search is over.

    Args:
        finalists: the most schedules of the search that are confirmed.
        by_family: whether they are the best of each family instead of the best of all.
        seeds: the number of fresh seeds; 0: nothing is confirmed.
        test: the name of the test that compares the winner with the others.
    """

    finalists: int
    by_family: bool
    seeds: int
    test: str


@dataclass(frozen=True, eq=False)
class Plan:
    """What a study will do; nothing in it is left open.

    Args:
        name: the name of the run.
        mode: "search" for the best schedule, or "rank" the families.
        objective: what is compared.
        recipe: how each job is trained.
        total_steps: the full horizon, in optimizer steps.
        space: all that is searched.
        widens: whether the range of peak rates may grow, once.
        rungs: the horizons at which a trial is tried.
        searches: the parts of the search, each an Optuna study: one, or one for each family.
        checks: the random schedules that check the rungs; None where there are none.
        confirmation: what is confirmed.
        seed: the seed of the study, from which all others are derived.
        training_seed: decides weights and batches of every trial (common random numbers).
        pruner: the name of Optuna's pruner, or "none".
        reads_pruned: whether the sampler learns from pruned trials.
        engine: the engine that the study asks for.
        data_folder: where the study says that the data are.
        source: the task, where it was given as a value and not by its name.
        unit: the unit in which a person counts steps.
    """

    name: str
    mode: Literal["search", "rank"]
    objective: Objective
    recipe: Recipe
    total_steps: int
    space: Space
    widens: bool
    rungs: Rungs
    searches: tuple[SubSearch, ...]
    checks: SubSearch | None
    confirmation: ConfirmationPlan
    seed: int
    training_seed: int
    pruner: str
    reads_pruned: bool
    engine: EngineWish
    data_folder: Path | None
    source: TaskSource | None = None
    unit: Unit = STEPS

    def with_rates(self, low: float, high: float) -> "Plan":
        """Return the plan with another range of peak rates; that of the checks stays."""
        searches = tuple(part.with_rates(low, high) for part in self.searches)
        return replace(self, space=self.space.with_rates(low, high), searches=searches)

    @property
    def trials(self) -> int:
        """The total of trials of the search."""
        return sum(part.trials for part in self.searches)

    @property
    def at_once(self) -> int:
        """The trials that are asked at once, and trained together."""
        return sum(part.batch for part in self.searches)

    @property
    def prunes(self) -> bool:
        """Whether a pruner of Optuna's looks at each evaluation."""
        return self.pruner != "none"

    def waves(self, trials: int) -> list[tuple[int, int]]:
        """Return, for each rung, (trainings at once, steps of each), given the trials to train."""
        share = ceil(trials / len(self.searches))
        each = [part.rungs.waves(min(part.batch, share)) for part in self.searches]
        rungs = zip(*each, strict=True)
        return [(sum(count for count, _ in rung), rung[0][1]) for rung in rungs]

    def search_steps(self, trials: int) -> int:
        """Return the steps that trials of the search take when none diverges or is pruned."""
        each = zip(self.searches, divided(trials, len(self.searches)), strict=True)
        return sum(part.steps(count) for part, count in each)

    @property
    def check_steps(self) -> int:
        """The steps that the checks of the rungs take when none diverges."""
        return 0 if self.checks is None else self.checks.trials * sum(self.rungs.horizons)


def divided(total: int, parts: int) -> list[int]:
    """Divide a total evenly; the first parts get what remains.

    >>> divided(11, 4)
    [3, 3, 3, 2]
    """
    return [total // parts + (i < total % parts) for i in range(parts)]
