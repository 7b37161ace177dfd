"""A trial that diverges is recorded, never best, and told so that a sampler turns away from it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.samplers._tpe.sampler import _split_trials
from optuna.trial import TrialState

from schedsearch import Run
from schedsearch.errors import RunError
from schedsearch.launch import Outcome
from schedsearch.report.leaderboard import leaderboard_of

Launch = Callable[..., Outcome]

# Rates of which about half are far too high for this model.
WILD: dict[str, Any] = {
    "families": ["Constant"],
    "space": {"peak_lr": [0.01, 1000.0], "warmup": "none"},
}


def told(run: Run) -> tuple[optuna.Study, list[optuna.trial.FrozenTrial]]:
    study = optuna.load_study(study_name=run.name, storage=run.storage)
    return study, study.get_trials()


def numbers(run: Run, state: str) -> set[int]:
    trials = run.trials()
    return set(trials["trial"][trials["state"] == state])


@pytest.fixture
def wild(launch: Launch) -> Callable[..., Run]:
    """Return a launcher of a study of which some trials diverge and some don't."""

    def run(**search: Any) -> Run:
        outcome = launch(trials=10, search=search, **WILD)
        found = outcome.run
        assert 2 <= len(numbers(found, "diverged")) <= 8
        assert 2 <= len(numbers(found, "finished")) <= 8
        return found

    return run


@pytest.mark.parametrize("pruner", ["none", "MedianPruner"])
def test_tpe_ranks_a_diverged_trial_behind_every_complete_one(
    wild: Callable[..., Run], pruner: str
) -> None:
    run = wild(sampler="TPE", pruner=pruner)
    study, trials = told(run)
    diverged = numbers(run, "diverged")
    assert {t.number for t in trials if t.state == TrialState.PRUNED} >= diverged
    complete = {t.number for t in trials if t.state == TrialState.COMPLETE}
    assert not complete & diverged
    for good in range(1, len(complete) + 1):
        below, above = _split_trials(study, trials, good)
        assert {t.number for t in below} <= complete, f"the {good} good ones hold a diverged trial"
        assert {t.number for t in above} >= diverged


@pytest.mark.parametrize("sampler", ["GP", "CMA-ES"])
@pytest.mark.parametrize("objective", ["val_loss", "val_accuracy"])
def test_samplers_of_complete_trials_are_told_the_worst_value_there_is(
    wild: Callable[..., Run], sampler: str, objective: str
) -> None:
    args = {"n_startup_trials": 8}  # the model's own choice is not what this is about
    run = wild(sampler=sampler, sampler_args=args, objective=objective)
    study, trials = told(run)
    diverged = numbers(run, "diverged")
    assert {t.state for t in trials} == {TrialState.COMPLETE}
    bad = {t.value for t in trials if t.number in diverged}
    rest = [t.value for t in trials if t.number not in diverged]
    assert len(bad) == 1
    (penalty,) = bad
    if objective == "val_loss":
        initial = {t.system_attrs["schedsearch:result"]["initial_loss"] for t in trials}
        assert penalty == 3.0 * max(initial)
        assert penalty is not None
        assert _all_below(rest, penalty)
    else:
        assert penalty == 0.0
        assert all(value is not None and value > 0 for value in rest)
    assert study.best_trial.number == run.best.trial


def _all_below(values: Sequence[float | None], bound: float) -> bool:
    return all(value is not None and value < bound for value in values)


def test_a_diverged_trial_is_recorded_and_never_best(wild: Callable[..., Run]) -> None:
    run = wild(sampler="random")
    trials, curves = run.trials(), run.curves()
    diverged = trials[trials["state"] == "diverged"]
    finished = trials[trials["state"] == "finished"]
    assert (diverged["steps"] < 60).any(), "it stops early"
    assert (finished["steps"] == 60).all()
    assert diverged["peak_lr"].min() > finished["peak_lr"].min()
    assert run.best.trial in set(finished["trial"])
    assert run.best.result["val_loss"] == finished["val_loss"].min()
    board = leaderboard_of(run)
    assert list(board["diverged"]) == [len(diverged)]
    assert list(board["finished"]) == [len(finished)]
    assert set(curves["trial"]) == set(trials["trial"]), "a diverged trial has its curve too"


def test_a_study_whose_trials_all_diverge_says_what_to_do(launch: Launch, runs_dir: Path) -> None:
    study = {"trials": 3, "families": ["Constant"], "space": {"peak_lr": [500.0, 1000.0]}}
    for _ in range(2):  # a second call says the same, and trains nothing
        with pytest.raises(RunError, match=r"all 3 trials .* diverged.*peak_lr") as caught:
            launch(**study)
        assert "\n" not in str(caught.value)
    assert not (runs_dir / "tiny" / "best.json").exists()
