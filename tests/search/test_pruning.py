"""Optuna's pruners stop trials, at the steps that they are told."""

from collections.abc import Callable
from typing import Any

import optuna
import pytest

from schedsearch.errors import RunError
from schedsearch.launch import Outcome
from schedsearch.report.leaderboard import leaderboard_of
from schedsearch.store import records

Launch = Callable[..., Outcome]


@pytest.mark.parametrize(
    ("pruner", "args"),
    [
        ("NopPruner", {}),
        ("MedianPruner", {"n_startup_trials": 2}),
        ("PercentilePruner", {"percentile": 25.0, "n_startup_trials": 2}),
        ("SuccessiveHalvingPruner", {"min_resource": 12, "reduction_factor": 2}),
        ("HyperbandPruner", {"min_resource": 12, "max_resource": 60}),
        ("ThresholdPruner", {"upper": 5.0}),
        ("WilcoxonPruner", {}),
    ],
)
def test_pruners_run_by_name_up_to_the_total(
    launch: Launch, pruner: str, args: dict[str, Any]
) -> None:
    search = {"pruner": pruner, "pruner_args": args, "sampler": "TPE"}
    trials = launch(trials=4, search=search).run.trials()
    assert list(trials["trial"]) == list(range(4))
    assert set(trials["state"]) <= {"finished", "pruned"}


def test_a_pruned_trial_stops_counts_and_is_never_best(launch: Launch) -> None:
    search = {"pruner": "MedianPruner", "pruner_args": {"n_startup_trials": 2}}
    run = launch(trials=10, search=search).run
    trials, curves = run.trials(), run.curves()
    pruned = trials[trials["state"] == "pruned"]
    assert 1 <= len(pruned) < 8
    assert len(trials) == 10
    rows = curves.groupby("trial")["step"]
    for number in pruned["trial"]:
        assert rows.max()[number] < 60
        assert rows.count()[number] < 5
    assert (rows.count()[trials["trial"][trials["state"] == "finished"]] == 5).all()
    assert run.best.trial not in set(pruned["trial"])
    board = leaderboard_of(run)
    assert board["pruned"].sum() == len(pruned)
    told = optuna.load_study(study_name="tiny", storage=run.storage).trials
    for trial in told:
        own = curves[curves["trial"] == trial.number]
        assert trial.intermediate_values == dict(zip(own["step"], own["val_loss"], strict=True))


def test_a_study_that_prunes_everything_says_so(launch: Launch) -> None:
    search = {"pruner": "ThresholdPruner", "pruner_args": {"upper": 1e-9}}
    with pytest.raises(RunError, match="no finished trial"):
        launch(trials=3, search=search)


def test_a_trial_that_is_trained_again_reports_without_a_warning(
    launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second attempt finds the reports of the first in the storage."""
    ended: list[object] = []

    def interrupted(*args: Any) -> Any:
        ended.append(args)
        if len(ended) == 2:  # trial 1 has reported all its evaluations
            raise KeyboardInterrupt
        return records.result_of(*args)

    study: dict[str, Any] = {"trials": 2, "search": {"pruner": "MedianPruner"}}
    with monkeypatch.context() as patch:
        patch.setattr("schedsearch.search.results.result_of", interrupted)
        with pytest.raises(KeyboardInterrupt):
            launch(**study)
    again = launch(**study).run
    assert list(again.trials()["attempt"]) == [1, 2]
    assert list(again.curves()["step"]) == [12, 24, 36, 48, 60] * 2
