"""The benchmark of searches: its rules against Optuna's own, and against cases done by hand."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from search_bench import claims
from search_bench.live import Step, pick_at
from search_bench.rank import Ranking, score
from search_bench.replay import cut_halving, full_trainings, median_pruner, squeezed_halving
from search_bench.tables import budget_for

STEPS = (10, 20, 30, 40)


def table(cut: Any, squeezed: dict[int, Any] | None = None) -> Any:
    """Make a table of losses at STEPS; what is not given costs nothing to know."""
    cut = np.asarray(cut, dtype=float)
    setup = SimpleNamespace(total_steps=STEPS[-1], eval_steps=STEPS)
    known = {h: np.asarray(v, dtype=float) for h, v in (squeezed or {}).items()}
    known[STEPS[-1]] = cut[:, -1]
    spent = {STEPS[-1]: np.full(len(cut), float(STEPS[-1]))}
    return SimpleNamespace(setup=setup, cut=cut, squeezed=known, spent=spent)


def optuna_median(cut: Any, budget: float) -> tuple[int, float]:
    """Run the same with Optuna: the pick, and the steps that it took."""
    study = optuna.create_study(pruner=optuna.pruners.MedianPruner())
    spent = 0.0
    finished: dict[int, float] = {}
    for number, losses in enumerate(cut):
        trial = study.ask()
        stopped = False
        for step, loss in zip(STEPS, losses, strict=True):
            trial.report(loss, step)
            if step < STEPS[-1] and trial.should_prune():
                stopped = True
                break
        spent += step
        if spent > budget and finished:
            break
        if stopped:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            finished[number] = losses[-1]
            study.tell(trial, losses[-1])
    return min(finished, key=lambda n: finished[n]), spent


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), runs=st.integers(3, 20))
def test_the_median_rule_is_that_of_optuna(seed: int, runs: int) -> None:
    cut = np.random.default_rng(seed).random((30, len(STEPS)))
    budget = float(runs * STEPS[-1])
    expected, _ = optuna_median(cut, budget)
    assert median_pruner(table(cut), np.arange(30), budget) == expected


def test_full_trainings_stop_where_the_budget_ends() -> None:
    cut = [[9, 9, 9, 3], [9, 9, 9, 2], [9, 9, 9, 1]]
    order = np.array([0, 1, 2])
    assert [full_trainings(table(cut), order, budget) for budget in (40, 80, 119, 120)] == [
        0,
        1,
        1,
        2,
    ]


def test_halving_keeps_the_best_of_a_rung_and_pays_for_all() -> None:
    """Three at 10 steps and one at 40 are 70 steps; cut trainings go on from there: 60."""
    cut = [[1, 9, 9, 5], [2, 9, 9, 4], [3, 9, 9, 1]]
    rungs: dict[str, Any] = {"rungs": (10,), "eta": 3}
    known = table(cut, {10: [3, 1, 2]})
    order = np.arange(3)
    assert squeezed_halving(known, order, 70, **rungs) == 1  # the best squeezed
    assert squeezed_halving(known, order, 69, **rungs) == 1  # two fit: 10 + 10 + 40
    assert squeezed_halving(known, order, 59, **rungs) == 0  # one alone
    assert cut_halving(known, order, 60, **rungs) == 0  # the best when cut


def test_a_pick_is_the_best_that_the_budget_paid_for() -> None:
    steps = [Step(10, 5.0, "a"), Step(20, float("inf"), "b"), Step(30, 1.0, "c")]
    assert [pick_at(steps, budget) for budget in (9, 10, 29, 30)] == [None, "a", "a", "c"]


@pytest.mark.parametrize(("target", "said"), [(0.02, "9.0"), (0.05, "at most 6")])
def test_the_budget_for_a_regret(target: float, said: str) -> None:
    assert budget_for({6.0: 0.03, 12.0: 0.01}, target) == said
    assert budget_for({6.0: 0.03}, 0.01) == "more than 6"


def test_rankings_are_scored_against_the_truth() -> None:
    truth = {"a": 1.0, "b": 2.0, "c": 3.0}
    right = score(Ranking(10, {"a": 0.1, "b": 0.2, "c": 0.3}, {}), truth, error=0.1)
    wrong = score(Ranking(10, {"a": 0.3, "b": 0.2, "c": 0.1}, {}), truth, error=0.1)
    missing = score(Ranking(10, {"a": 0.1, "b": 0.2, "c": float("inf")}, {}), truth, error=0.1)
    assert (right.tau, right.best_named) == (1.0, True)
    assert (wrong.tau, wrong.best_named) == (-1.0, False)
    assert missing.tau == 1.0
    near = score(Ranking(10, {"a": 0.2, "b": 0.1, "c": 0.3}, {}), truth, error=0.5)
    assert near.best_named  # b is no more than two standard errors of a difference behind


def test_a_clear_lead_is_named_and_equals_are_not() -> None:
    assert claims.named(0.1, 0.0, simulations=40) <= 4
    assert claims.named(0.1, 1.0, simulations=40) == 40
