"""A study runs to its total, stores what it tried, and goes on without repeating itself."""

import json
from collections.abc import Callable
from typing import Any

import optuna
import pandas as pd
import pytest

from schedsearch import FAMILIES, Schedule
from schedsearch.launch import Outcome
from schedsearch.report.leaderboard import leaderboard_of
from schedsearch.schedules.families import DEFAULT_FAMILIES
from schedsearch.search.events import Chosen, Event, Started, Trained

Launch = Callable[..., Outcome]

# what a trial came to, free of clocks and of who trained it
RESULT = ["trial", "schedule", "state", "val_loss", "val_accuracy", "train_loss", "steps"]


def results(outcome: Outcome) -> pd.DataFrame:
    return outcome.run.trials()[RESULT]


def test_a_study_runs_to_its_total_and_stores_what_it_tried(launch: Launch) -> None:
    outcome = launch(trials=5)
    trials, curves = outcome.run.trials(), outcome.run.curves()
    assert list(trials["trial"]) == [0, 1, 2, 3, 4]
    assert set(trials["state"]) == {"finished"}
    assert set(trials["family"]) <= set(DEFAULT_FAMILIES)
    assert trials["peak_lr"].between(0.01, 1.0).all()
    assert (trials["attempt"] == 1).all()
    by_name = {family.name: family for family in FAMILIES}
    for row in trials.itertuples():
        schedule = Schedule.from_json(str(row.schedule))
        assert (schedule.family, schedule.peak_lr) == (row.family, row.peak_lr)
        params = json.loads(str(row.params))
        assert params == schedule.to_dict()["params"]
        assert by_name[schedule.family].checked(params) == schedule.params
        own = curves[curves["trial"] == row.trial]
        assert list(own["step"]) == [12, 24, 36, 48, 60]
        assert own["val_loss"].iloc[-1] == row.val_loss
        assert own["val_loss"].min() == row.best_val_loss
        assert own["val_accuracy"].max() == row.best_val_accuracy
    assert outcome.run.best.result["val_loss"] == trials["val_loss"].min()
    assert outcome.clock.trials == 5
    assert outcome.best_path.is_file()


def test_the_run_stores_what_reproduces_it(launch: Launch) -> None:
    slow = {"peak_lr": [1e-4, 1e-3]}
    outcome = launch(trials=1, seed=7, training={"optimizer": "AdamW"}, space=slow)
    attributes = outcome.run.attributes
    assert attributes["seeds"]["study"] == 7
    assert attributes["provenance"]["versions"]["optuna"] == optuna.__version__
    assert attributes["provenance"]["device"] == "cpu"
    assert len(attributes["fingerprint"]) == 16
    config = outcome.run.config
    assert (config.seed, config.trials, config.training.optimizer) == (7, 1, "AdamW")


def test_events_tell_each_trial_once(launch: Launch) -> None:
    seen: list[Event] = []
    launch(trials=3, run_options={"on_event": seen.append})
    assert isinstance(seen[0], Chosen)
    assert seen[0].text.startswith("engine: reference")
    assert seen[1] == Started("tiny", 0, 3)
    trained = [event for event in seen if isinstance(event, Trained)]
    assert [event.trial for event in trained] == [0, 1, 2]
    assert [event.finished for event in trained] == [1, 2, 3]
    best = [event.best_value for event in trained]
    assert best == sorted([b for b in best if b is not None], reverse=True)
    launch(trials=4, run_options={"on_event": seen.append})
    assert Started("tiny", 3, 4) in seen


def test_a_resumed_random_study_equals_one_that_was_not_interrupted(launch: Launch) -> None:
    search = {"batch": 4}
    launch(name="resumed", trials=6, search=search)
    resumed = results(launch(name="resumed", trials=12, search=search))
    whole = results(launch(name="whole", trials=12, search=search))
    pd.testing.assert_frame_equal(resumed, whole, check_exact=True)
    assert whole["schedule"].is_unique


def test_another_seed_samples_and_trains_something_else(launch: Launch) -> None:
    first = results(launch(name="a", trials=2))
    second = results(launch(name="b", trials=2, seed=1))
    assert not set(first["schedule"]) & set(second["schedule"])


@pytest.mark.parametrize(
    ("sampler", "args"),
    [
        ("TPE", {"n_startup_trials": 2}),
        ("QMC", {}),
        ("GP", {"n_startup_trials": 2}),
        ("CMA-ES", {"n_startup_trials": 2}),
    ],
)
def test_each_sampler_goes_on_without_repeating_a_draw(
    launch: Launch, sampler: str, args: dict[str, Any]
) -> None:
    # one family: nothing is conditional, so that what models the space has all of it to model
    study = {
        "families": ["CosineAnnealingLR"],
        "space": {"warmup": "always"},
        "search": {"sampler": sampler, "sampler_args": args},
    }
    before = results(launch(trials=4, **study))
    after = results(launch(trials=6, **study))
    assert list(after["trial"]) == list(range(6))
    assert after["schedule"].is_unique
    assert set(after["state"]) <= {"finished", "diverged"}
    pd.testing.assert_frame_equal(after[:4], before, check_exact=True)


@pytest.mark.parametrize("sampler", ["TPE", "QMC", "GP", "CMA-ES"])
def test_each_sampler_copes_with_conditional_parameters(launch: Launch, sampler: str) -> None:
    args = {} if sampler == "QMC" else {"n_startup_trials": 2}
    search = {"sampler": sampler, "sampler_args": args}
    trials = launch(trials=5, families="all", search=search).run.trials()
    assert len(trials) == 5
    assert trials["schedule"].is_unique


def test_what_a_trial_comes_to_does_not_depend_on_what_is_trained_beside_it(
    launch: Launch,
) -> None:
    alone, *beside = (
        results(launch(name=f"batch-{batch}", trials=5, search={"batch": batch}))
        for batch in (1, 3, 8)
    )
    for other in beside:
        pd.testing.assert_frame_equal(alone, other, check_exact=True)


def test_val_accuracy_is_maximized(launch: Launch) -> None:
    outcome = launch(trials=5, search={"objective": "val_accuracy"})
    trials, run = outcome.run.trials(), outcome.run
    assert run.best.result["val_accuracy"] == trials["val_accuracy"].max()
    assert trials["val_accuracy"].nunique() > 1
    board = leaderboard_of(run)
    assert list(board["val_accuracy"]) == sorted(board["val_accuracy"], reverse=True)
    study = optuna.load_study(study_name="tiny", storage=run.storage)
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE
    assert study.best_value == trials["val_accuracy"].max()
    assert json.loads(outcome.best_path.read_text())["study"]["objective"] == "val_accuracy"


def test_a_total_that_is_reached_trains_nothing_more(launch: Launch) -> None:
    before = results(launch(trials=4))
    outcome = launch(trials=2)
    assert outcome.clock.trials == 0
    pd.testing.assert_frame_equal(results(outcome), before, check_exact=True)


@pytest.mark.parametrize("step_unit", ["step", "epoch"])
def test_schedulers_step_in_the_unit_of_the_study(launch: Launch, step_unit: str) -> None:
    training = {"step_unit": step_unit, "total_steps": 72, "evals_per_run": 4}
    outcome = launch(trials=1, families=["LinearLR"], training=training, space={"warmup": "none"})
    schedule = outcome.run.best.schedule
    assert schedule.step_unit == step_unit
    horizon = 72 if step_unit == "step" else 4  # an epoch has 18 batches
    rates = schedule.trace(horizon)
    ends = [17, 35, 53, 71] if step_unit == "step" else [0, 1, 2, 3]
    assert list(outcome.run.curves()["lr"]) == [rates[i] for i in ends]
