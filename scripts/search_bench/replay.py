"""Searches replayed over a truth table: random sampling, and a rule of who is trained how far.

A replay draws schedules from the pool in a random order, spends a budget of optimizer steps on them
as its rule says, and picks one by what it has seen. Its regret is how much worse the pick's truth
is than the best truth in the pool. Thousands of replays cost nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from search_bench.table import Table

Indices = NDArray[np.int64]
Rule = Callable[[Table, Indices, float], int]
"""(table, the pool in a random order, budget in steps) -> the schedule that is picked."""

BUDGETS = (3.0, 4.5, 6.0, 9.0, 12.0, 18.0, 24.0, 36.0, 48.0)  # full-run equivalents
REPLAYS = 4000
CONFIRM_SEEDS = 2  # of the fresh seeds; the others are the truth
ETAS = (2, 3, 4, 6, 9)


@dataclass(frozen=True)
class Method:
    """A named rule."""

    name: str
    rule: Rule


@dataclass(frozen=True)
class Regret:
    """Mean regret of a method at a budget, with its standard error over replays."""

    mean: float
    error: float


def full_trainings(table: Table, order: Indices, budget: float) -> int:
    """Train each at the full horizon until the budget is spent; pick the best seen."""
    horizon = table.setup.total_steps
    count = max(1, int((np.cumsum(table.spent[horizon][order]) <= budget).sum()))
    return _best(table.squeezed[horizon], order[:count])


def squeezed_halving(
    table: Table, order: Indices, budget: float, *, rungs: Sequence[int], eta: int
) -> int:
    """Train all at the first rung, one in eta at the next, each anew; pick the best at the last."""
    left = _climbed(table, order, budget, rungs, eta)
    return _best(table.squeezed[table.setup.total_steps], left)


def cut_halving(
    table: Table, order: Indices, budget: float, *, rungs: Sequence[int], eta: int
) -> int:
    """Train all up to the first rung, one in eta goes on to the next; pick the best at the end."""
    horizons = (*rungs, table.setup.total_steps)
    costs = np.diff([0, *horizons]).tolist()  # a run goes on from where it was cut
    left = order[: _cohort(costs, eta, budget, len(order))]
    steps = table.setup.eval_steps
    for horizon in horizons[:-1]:
        left = _ranked(table.cut[:, steps.index(horizon)], left)[: -(-len(left) // eta)]
    return _best(table.cut[:, -1], left)


def median_pruner(table: Table, order: Indices, budget: float, *, startup: int = 5) -> int:
    """Stop a training whose best loss so far is above the median of finished ones' (Optuna's rule).

    As optuna.pruners.MedianPruner does with its defaults: five trainings are never stopped; then a
    training is, when its best loss up to an evaluation is worse than the median of what the
    finished trainings had at that evaluation.
    """
    steps, spent = np.array(table.setup.eval_steps, dtype=float), 0.0
    finished: list[int] = []
    for index in order:
        losses = table.cut[index]
        stop = len(steps) - 1
        if len(finished) >= startup:
            medians = np.median(table.cut[finished], axis=0)
            worse = np.minimum.accumulate(losses) > medians
            stop = int(worse[:-1].argmax()) if worse[:-1].any() else stop
        diverged = np.isinf(losses)
        stop = min(stop, int(diverged.argmax())) if diverged.any() else stop
        spent += steps[stop]
        if spent > budget and finished:
            break
        if stop == len(steps) - 1 and not diverged.any():
            finished.append(int(index))
    return _best(table.cut[:, -1], np.array(finished or order[:1]))


def confirmed(
    table: Table, order: Indices, budget: float, *, rungs: Sequence[int], eta: int, finalists: int
) -> int:
    """Halve squeezed trainings, train the best few on fresh seeds, and pick by their mean."""
    price = finalists * CONFIRM_SEEDS * table.setup.total_steps
    if price >= 0.7 * budget:
        return squeezed_halving(table, order, budget, rungs=rungs, eta=eta)
    left = _climbed(table, order, budget - price, rungs, eta)
    few = _ranked(table.squeezed[table.setup.total_steps], left)[:finalists]
    return _best(table.fresh[:CONFIRM_SEEDS].mean(axis=0), few)


def replay(table: Table, method: Method, budget: float, replays: int = REPLAYS) -> Regret:
    """Replay a method, and give its mean regret; the orders are the same for all methods."""
    regrets, random = table.regrets(CONFIRM_SEEDS), np.random.default_rng(0)
    steps = budget * table.setup.total_steps
    found = np.empty(replays)
    for i in range(replays):
        order = random.permutation(len(regrets))
        found[i] = regrets[method.rule(table, order, steps)]
    return Regret(float(found.mean()), float(found.std(ddof=1) / np.sqrt(replays)))


def halvings(table: Table, most: int = 3) -> list[tuple[tuple[int, ...], int]]:
    """Return every choice of rungs and eta that the table can replay."""
    setup = table.setup
    return [
        (rungs, eta)
        for count in range(1, most + 1)
        for rungs in combinations(setup.rungs, count)
        for eta in ETAS
    ]


def methods(table: Table, rungs: Sequence[int], eta: int) -> list[Method]:
    """Return what is compared, with the rungs that are taken for halving."""
    steps, full = table.setup.eval_steps, table.setup.total_steps
    cuts = tuple(min(steps, key=lambda step: abs(step - rung)) for rung in rungs)  # where seen
    named, cut = (", ".join(map(str, (*some, full))) for some in (rungs, cuts))
    return [
        Method("random, full trainings", full_trainings),
        Method("MedianPruner over cut trainings", median_pruner),
        Method(
            f"halving over cut trainings ({cut}; eta {eta})",
            partial(cut_halving, rungs=cuts, eta=eta),
        ),
        Method(
            f"halving over squeezed trainings ({named}; eta {eta})",
            partial(squeezed_halving, rungs=tuple(rungs), eta=eta),
        ),
        Method(
            f"the same, best 2 on {CONFIRM_SEEDS} fresh seeds",
            partial(confirmed, rungs=tuple(rungs), eta=eta, finalists=2),
        ),
    ]


def _climbed(
    table: Table, order: Indices, budget: float, rungs: Sequence[int], eta: int
) -> Indices:
    """Return the schedules that come to the full horizon, of a cohort that takes the budget."""
    horizons = (*rungs, table.setup.total_steps)
    left = order[: _cohort(horizons, eta, budget, len(order))]
    for horizon in rungs:
        left = _ranked(table.squeezed[horizon], left)[: -(-len(left) // eta)]
    return left


def _cohort(costs: Sequence[int], eta: int, budget: float, most: int) -> int:
    """Return the largest cohort whose rungs fit into a budget."""

    def price(count: int) -> float:
        total = 0.0
        for cost in costs:
            total += count * cost
            count = -(-count // eta)
        return total

    low, high = 1, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if price(middle) <= budget else (low, middle - 1)
    return low


def _ranked(values: NDArray[np.float64], some: Indices) -> Indices:
    return some[np.argsort(values[some], kind="stable")]


def _best(values: NDArray[np.float64], some: Indices) -> int:
    return int(some[np.argmin(values[some])])
