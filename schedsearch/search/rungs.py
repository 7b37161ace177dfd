"""Rungs: the growing horizons at which schedules are tried, and who goes on to the next."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import Literal, TypeAlias

from schedsearch.config import Fidelity
from schedsearch.errors import ConfigError, ScheduleError
from schedsearch.horizon import STEPS, Unit, evaluation_steps
from schedsearch.objective import Objective
from schedsearch.schedules.schedule import Schedule
from schedsearch.training.curve import Curve, Evaluation
from schedsearch.training.recipe import Job, Recipe

RungKind: TypeAlias = Literal["full", "squeeze", "truncate", "pilot"]


@dataclass(frozen=True)
class Rungs:
    """The horizons at which a cohort of schedules is tried, the full one last.

    Args:
        kind: "squeeze": a rung trains the schedule of its own horizon; "truncate": the first steps
            of the full horizon's; "pilot": as "squeeze", and the full training is evaluated where
            each rung would cut it, so that the two can be compared; "full": there is one rung.
        horizons: the optimizer steps of each rung.
        eta: the best 1/eta of a cohort are promoted to the next rung.
        promotes: whether the best of a cohort are promoted, or all (to check the rungs).
    """

    kind: RungKind
    horizons: tuple[int, ...]
    eta: int = 3
    promotes: Literal["best", "all"] = "best"

    def __post_init__(self) -> None:
        if not self.horizons or any(low >= high for low, high in pairwise((0, *self.horizons))):
            raise ValueError(f"rungs grow: {self.horizons}")
        if (self.kind == "full") != (len(self.horizons) == 1) or self.eta < 2:
            raise ValueError(f"no rungs: {self}")

    @property
    def full(self) -> int:
        """The full horizon."""
        return self.horizons[-1]

    @property
    def cohort(self) -> int:
        """The fewest schedules of which each rung leaves some behind.

        >>> Rungs("squeeze", (67, 200, 600)).cohort
        9
        """
        return 1 if self.promotes == "all" else int(self.eta ** (len(self.horizons) - 1))

    def promoted(self, count: int) -> int:
        """Return the most schedules that are promoted from a rung that `count` were trained at.

        >>> Rungs("squeeze", (200, 600)).promoted(10)
        4
        """
        return count if self.promotes == "all" else ceil(count / self.eta)

    def steps(self, count: int, first: int = 1) -> int:
        """Return the steps that schedules take from a rung on, when none of them diverges.

        >>> rungs = Rungs("squeeze", (67, 200, 600))
        >>> rungs.steps(9) == 9 * 67 + 3 * 200 + 600
        True
        >>> rungs.steps(3, first=2) == 3 * 200 + 600
        True
        """
        return sum(trainings * horizon for trainings, horizon in self.waves(count, first))

    def waves(self, count: int, first: int = 1) -> list[tuple[int, int]]:
        """Return (trainings, horizon) for every rung from `first`, starting with `count` schedules.

        >>> Rungs("squeeze", (67, 200, 600)).waves(9)
        [(9, 67), (3, 200), (1, 600)]
        """
        waves = []
        for horizon in self.horizons[first - 1 :]:
            waves.append((count, horizon))
            count = self.promoted(count)
        return waves

    def job(self, recipe: Recipe, schedule: Schedule, seed: int, rung: int) -> Job:
        """Return the job that trains a schedule at a rung, the first is number 1.

        The number of evaluations is the same at all rungs, as a schedule that reacts to a metric
        needs it; a pilot adds a few at the full horizon.
        """
        horizon = self.horizons[rung - 1]
        if self.kind == "truncate" and horizon < self.full:
            steps = evaluation_steps(self.full, recipe.evals)
            nearest = min(steps, key=lambda step: abs(step - horizon))
            moved = tuple(horizon if step == nearest else step for step in steps)
            return Job(schedule, seed, self.full, moved, last_step=horizon)
        if self.kind == "pilot" and horizon == self.full:
            steps = evaluation_steps(self.full, recipe.evals)
            return Job(schedule, seed, self.full, tuple(sorted({*steps, *self.horizons})))
        return recipe.job(schedule, seed, horizon)


@dataclass(frozen=True)
class Climb:
    """What a trial recorded: a curve for each rung that it was trained at.

    Args:
        horizons: the horizons of those rungs.
        curves: the curves of those rungs.
    """

    horizons: tuple[int, ...] = ()
    curves: tuple[Curve, ...] = ()

    def higher(self, horizon: int, curve: Curve) -> "Climb":
        """Return the climb with one more rung."""
        return Climb((*self.horizons, horizon), (*self.curves, curve))

    @property
    def curve(self) -> Curve:
        """The curve of the last rung."""
        return self.curves[-1]

    @property
    def horizon(self) -> int:
        """The last rung."""
        return self.horizons[-1]

    @property
    def spent_steps(self) -> int:
        """The optimizer steps of all rungs."""
        return sum(curve.final.step for curve in self.curves)

    def values(self, name: str) -> dict[int, float]:
        """Return the value of an objective at each rung that the trial came through, by horizon."""
        return {horizon: row.value(name) for horizon, row in self.finals.items()}

    @property
    def finals(self) -> dict[int, Evaluation]:
        """The last evaluation at each rung that the trial came through, by horizon."""
        return {
            horizon: curve.final
            for horizon, curve in zip(self.horizons, self.curves, strict=True)
            if not curve.diverged
        }


def promoted(curves: Sequence[Curve], rungs: Rungs, objective: Objective) -> list[int]:
    """Return the indices of the trainings at a rung that are promoted, in their order.

    They are the best that did not diverge; of two that are equal the earlier is the better one.
    """
    alive = [i for i, curve in enumerate(curves) if not curve.diverged]
    ranked = sorted(alive, key=lambda i: objective.sign * curves[i].final.value(objective.name))
    return sorted(ranked[: rungs.promoted(len(curves))])


def resolve_rungs(
    wish: Fidelity,
    total_steps: int,
    try_horizon: Callable[[int], None],
    unit: Unit = STEPS,
) -> tuple[Rungs, str | None]:
    """Return the rungs that a study file asks for.

    Args:
        wish: the table [fidelity] of the study file.
        total_steps: the full horizon.
        try_horizon: raises ScheduleError for a horizon at which not all of the space can be built.
        unit: the unit of horizons in messages, and in a list of rungs.

    Returns:
        The rungs; and a sentence that says which were left out and why, None if none was.

    Raises:
        ConfigError: horizons that are given and can't be rungs.
    """
    full = Rungs("full", (total_steps,))
    if wish.kind == "full":
        return full, None
    if isinstance(wish.rungs, tuple):
        return _given(wish, wish.rungs, total_steps, try_horizon, unit), None
    wished = _wished(wish, total_steps)
    below = [horizon for horizon in wished[:-1] if _problem(wish, horizon, try_horizon) is None]
    if below:
        left = wish.rungs - len(below) - 1
        few = (
            f"{left} of {wish.rungs} rungs left out: {unit.say(total_steps)} are too few"
            if left
            else None
        )
        return Rungs(_kind(wish), (*below, total_steps), wish.eta), few
    twice = f"twice fidelity.min_steps = {wish.min_steps}"
    reason = f"{unit.say_both(total_steps)} are less than {twice}"
    for horizon in wished[:-1]:
        reason = f"{unit.say_both(horizon)}: {_problem(wish, horizon, try_horizon)}"
    if wish.rungs == 1:
        reason = "there is one alone"
    return full, f"no rungs below the full horizon: {reason}: every trial is trained in full"


def _kind(wish: Fidelity) -> RungKind:
    """Return the kind of rungs; where a pilot is to choose it, squeezed ones stand for either."""
    return "squeeze" if wish.kind == "auto" else wish.kind


def _wished(wish: Fidelity, total_steps: int) -> list[int]:
    """Return horizons in equal ratios, each at least twice as long as the one before.

    The shortest is eta^(rungs - 1) times shorter than the full one, so that all rungs take as many
    steps; or `min_steps`, where that would be shorter still.

    >>> _wished(Fidelity(), 1800), _wished(Fidelity(), 600), _wished(Fidelity(), 300)
    ([112, 450, 1800], [100, 245, 600], [100, 300])
    """
    assert isinstance(wish.rungs, int)
    for count in range(wish.rungs, 1, -1):
        shortest = max(wish.min_steps, total_steps / wish.eta ** (count - 1))
        ratio = (total_steps / shortest) ** (1 / (count - 1))
        if ratio >= 2:
            return [round(shortest * ratio**i) for i in range(count - 1)] + [total_steps]
    return [total_steps]


def _given(
    wish: Fidelity,
    listed: tuple[int | float, ...],
    total_steps: int,
    try_horizon: Callable[[int], None],
    unit: Unit,
) -> Rungs:
    where = f"fidelity.rungs = {list(listed)}"
    if unit.steps_per_epoch is None and not all(type(n) is int for n in listed):
        raise ConfigError(f"{where}: steps are whole numbers (with training.epochs: epochs)")
    given = tuple(unit.steps(n) for n in listed)
    if any(low >= high for low, high in pairwise(given)):
        raise ConfigError(f"{where}: rungs grow, from the shortest horizon to the longest")
    if given[-1] > total_steps:
        raise ConfigError(f"{where}: {listed[-1]} is beyond training.{unit.key(total_steps)}")
    below = given[:-1] if given[-1] == total_steps else given
    if not below:
        raise ConfigError(f"{where}: at least one rung below the full horizon, or kind = 'full'")
    for horizon in below:
        problem = _problem(wish, horizon, try_horizon)
        if problem is not None:
            few = unit.say_both(horizon)
            raise ConfigError(f"{where}: {few} are too few for a rung: {problem}")
    return Rungs(_kind(wish), (*below, total_steps), wish.eta)


def _problem(wish: Fidelity, horizon: int, try_horizon: Callable[[int], None]) -> str | None:
    if horizon < wish.min_steps:
        return f"fewer than fidelity.min_steps = {wish.min_steps}"
    try:
        if wish.kind != "truncate":
            try_horizon(horizon)
    except ScheduleError as error:
        return str(error)
    return None
