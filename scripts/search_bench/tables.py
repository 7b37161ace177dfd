"""What the benchmark says, as rows of tables and as sentences."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from search_bench.live import FAMILIES, Step, arms, pick_at, search_live, truths
from search_bench.replay import (
    BUDGETS,
    CONFIRM_SEEDS,
    Method,
    Regret,
    halvings,
    methods,
    replay,
    squeezed_halving,
)
from search_bench.table import Table

NO_DIFFERENCE = "no difference that this benchmark can see"
_SURVEY_BUDGETS, _SURVEY_REPLAYS = (6.0, 9.0, 12.0, 24.0), 500


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def fidelity_rows(table: Table) -> list[list[str]]:
    """Return how each cheap training ranks the pool: over all, and among the better half."""
    truth = table.truth()
    half = np.argsort(truth)[: len(truth) // 2]
    cheap = {"another seed, in full": table.squeezed[table.setup.total_steps]}
    for rung in reversed(table.setup.rungs):
        cheap[f"squeezed to {rung}"] = table.squeezed[rung]
        if rung in table.setup.eval_steps:
            cheap[f"cut at {rung}"] = table.cut[:, table.setup.eval_steps.index(rung)]
    return [
        [name, *(f"{stats.spearmanr(values[s], truth[s])[0]:.2f}" for s in (slice(None), half))]
        for name, values in cheap.items()
    ]


def survey(table: Table) -> list[dict[str, Any]]:
    """Replay halving over squeezed trainings with every choice of rungs and eta, the best first."""
    found = []
    for rungs, eta in halvings(table):
        method = Method("", partial(squeezed_halving, rungs=rungs, eta=eta))
        at = [replay(table, method, budget, _SURVEY_REPLAYS).mean for budget in _SURVEY_BUDGETS]
        found.append({"rungs": rungs, "eta": eta, "regret": at, "mean": float(np.mean(at))})
    return sorted(found, key=lambda row: row["mean"])


@dataclass(frozen=True, eq=False)
class Replayed:
    """Regrets by method and budget."""

    regrets: dict[str, dict[float, Regret]]

    def rows(self) -> list[list[str]]:
        """Return a row a method."""
        return [
            [name, *(f"{at[b].mean:.4f}" for b in BUDGETS)] for name, at in self.regrets.items()
        ]

    def sentence(self) -> str:
        """Return what each method needs for what 24 full trainings find."""
        target = next(iter(self.regrets.values()))[24.0].mean
        said = [
            f"{name}: {budget_for({b: r.mean for b, r in at.items()}, target)}"
            for name, at in self.regrets.items()
        ]
        return f"Compute for the regret of 24 full trainings ({target:.4f}): {'; '.join(said)}"


def replayed(table: Table, rungs: Sequence[int], eta: int) -> Replayed:
    """Replay all methods at all budgets."""
    return Replayed(
        {
            method.name: {budget: replay(table, method, budget) for budget in BUDGETS}
            for method in methods(table, rungs, eta)
        }
    )


def budget_for(curve: dict[float, float], target: float) -> str:
    """Return the budget at which a curve comes down to a regret, between the budgets that it has.

    >>> budget_for({6.0: 0.03, 12.0: 0.01}, 0.02)
    '9.0'
    """
    budgets, means = list(curve), list(curve.values())
    for i, mean in enumerate(means):
        if mean <= target and i == 0:
            return f"at most {budgets[0]:g}"
        if mean <= target:
            share = (means[i - 1] - target) / (means[i - 1] - mean)
            return f"{budgets[i - 1] + share * (budgets[i] - budgets[i - 1]):.1f}"
    return f"more than {budgets[-1]:g}"


@dataclass(frozen=True, eq=False)
class LiveCurves:
    """Regrets `[study seeds, budgets]` of each arm; the last arm is schedsearch."""

    budgets: tuple[float, ...]
    regrets: dict[str, NDArray[np.float64]]

    def mean(self, arm: str, budget: float) -> tuple[float, float]:
        """Return an arm's mean regret at a budget, and its standard error over study seeds."""
        values = self.regrets[arm][:, self.budgets.index(budget)]
        return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))

    def rows(self) -> list[list[str]]:
        """Return a row an arm."""
        return [
            [name, *("{:.4f} ± {:.4f}".format(*self.mean(name, b)) for b in self.budgets)]
            for name in self.regrets
        ]

    def compared(self, one: str, at: float, other: str, other_at: float) -> str:
        """Return whether an arm at a budget is better than another at its own, by three errors."""
        (mean, error), (other_mean, other_error) = self.mean(one, at), self.mean(other, other_at)
        gap, both = other_mean - mean, float(np.hypot(error, other_error))
        text = f"{one} at {at:g} against {other} at {other_at:g}: "
        if abs(gap) <= 3 * both:
            return f"{text}{NO_DIFFERENCE} ({gap:+.4f}, standard error {both:.4f})"
        return f"{text}{'better' if gap > 0 else 'worse'} by {abs(gap):.4f} ({both:.4f})"

    def sentences(self) -> list[str]:
        """Compare schedsearch with the others at equal compute, and with TPE at 0.4 of its."""
        *others, ours = self.regrets
        last = self.budgets[-1]
        said = [self.compared(ours, last, other, last) for other in others]
        if "TPE" in others:
            less = min(self.budgets, key=lambda budget: abs(budget - 0.4 * last))
            said.append(self.compared(ours, less, "TPE", last))
            curve = {b: self.mean(ours, b)[0] for b in self.budgets}
            needs = budget_for(curve, self.mean("TPE", last)[0])
            said.append(f"{ours} comes to the mean regret of TPE at {last:g} with {needs}")
        return said


def live_curves(table: Table, seeds: int, budgets: Sequence[float]) -> LiveCurves:
    """Run what is missing of the live searches, and reckon the regrets of their picks.

    Where nothing has finished within a budget the pick is as bad as one drawn blindly.
    """
    setup = table.setup
    found: dict[str, list[list[Step]]] = {
        arm.name: [search_live(setup, arm, seed) for seed in range(seeds)] for arm in arms(setup)
    }
    picks = {
        name: [[pick_at(steps, b * setup.total_steps) for b in budgets] for steps in every]
        for name, every in found.items()
    }
    every = [text for rows in picks.values() for row in rows for text in row if text is not None]
    known, searched = truths(setup, every), np.isin(table.families, FAMILIES)
    pool = table.truth(CONFIRM_SEEDS)[searched]
    worst, best = float(np.median(pool)), float(pool.min())

    def regret(text: str | None) -> float:
        return min(worst, worst if text is None else known[text]) - best

    return LiveCurves(
        tuple(budgets),
        {
            name: np.array([[regret(t) for t in row] for row in rows])
            for name, rows in picks.items()
        },
    )
