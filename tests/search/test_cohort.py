"""Trials that are tried at growing horizons: real training, and what is stored of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.samplers._tpe.sampler import _split_trials
from optuna.trial import TrialState
from plans import plan_of
from rung_studies import EVALS, RUNGS, with_rungs

from schedsearch import Curve, Run, Schedule, open_run
from schedsearch.errors import RunError
from schedsearch.horizon import evaluation_steps
from schedsearch.launch import Outcome
from schedsearch.report.leaderboard import leaderboard_of
from schedsearch.search.events import AtRung, Event, Note, Trained
from schedsearch.search.plan import Plan
from schedsearch.training.recipe import Job
from schedsearch.training.reference import train

Launch = Callable[..., Outcome]

CURVE = ["step", "lr", "train_loss", "val_loss", "val_accuracy"]


@pytest.fixture(scope="module", params=["squeeze", "truncate"])
def tried(
    request: pytest.FixtureRequest,
    make_config: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Run, Plan, list[Event]]:
    """Return a finished run of two cohorts, its plan, and what it told."""
    from schedsearch import run_study

    config = make_config(name="tried", trials=18, **with_rungs(request.param))
    events: list[Event] = []
    runs_dir = tmp_path_factory.mktemp("runs")
    run = run_study(config, runs_dir=runs_dir, device="cpu", on_event=events.append).run
    return run, plan_of(config), events


def reference(plan: Plan, schedule: Schedule, horizon: int, evals: tuple[int, ...]) -> Curve:
    """Train a schedule at a horizon with the reference engine, as if there were no rungs."""
    (curve,) = train(plan.recipe, [Job(schedule, plan.training_seed, horizon, evals)])
    return curve


def rows(curve: Curve) -> pd.DataFrame:
    return pd.DataFrame(curve.columns())[CURVE].astype({"step": "int64"})


def test_the_last_rung_is_the_plain_full_training(tried: tuple[Run, Plan, list[Event]]) -> None:
    run, plan, _ = tried
    trials, curves = run.trials(), run.curves()
    full = trials[trials["state"] == "finished"]
    assert len(full) == 2
    for trial, schedule in zip(full["trial"], full["schedule"], strict=True):
        alone = reference(plan, Schedule.from_json(schedule), 180, evaluation_steps(180, EVALS))
        stored = curves[curves["trial"] == trial][CURVE].reset_index(drop=True)
        pd.testing.assert_frame_equal(stored, rows(alone), check_exact=True)


def test_a_lower_rung_is_the_run_of_that_horizon(tried: tuple[Run, Plan, list[Event]]) -> None:
    """Squeezed: the whole schedule in fewer steps. Cut: the first steps of the full one."""
    run, plan, _ = tried
    cut = plan.rungs.kind == "truncate"
    trials, curves, rungs = run.trials(), run.curves(), run.rungs()
    below = trials[trials["horizon"] < 180]
    assert set(below["horizon"]) == {20, 60}
    each = zip(below["trial"], map(int, below["horizon"]), below["schedule"], strict=True)
    for trial, horizon, text in each:
        schedule = Schedule.from_json(text)
        stored = curves[curves["trial"] == trial][CURVE].reset_index(drop=True)
        if cut:
            assert stored["step"].iloc[-1] == horizon
            evals = (*stored["step"], *(180 - i for i in reversed(range(EVALS - len(stored)))))
            alone = rows(reference(plan, schedule, 180, evals)).iloc[: len(stored)]
            trace = schedule.trace(180, evals=EVALS) if not schedule.reacts_to_metric else None
            if trace is not None:
                np.testing.assert_array_equal(stored["lr"], np.asarray(trace)[stored["step"] - 1])
        else:
            alone = rows(reference(plan, schedule, horizon, evaluation_steps(horizon, EVALS)))
        pd.testing.assert_frame_equal(stored, alone, check_exact=True)
        mine = rungs[rungs["trial"] == trial].set_index("horizon")
        assert mine["val_loss"][horizon] == stored["val_loss"].iloc[-1]
        assert mine["val_accuracy"][horizon] == stored["val_accuracy"].iloc[-1]


def test_of_each_cohort_the_best_third_goes_on(tried: tuple[Run, Plan, list[Event]]) -> None:
    run, _, events = tried
    rungs = run.rungs()
    for cohort in (range(9), range(9, 18)):
        own = rungs[rungs["trial"].isin(cohort)]
        for horizon, higher in ((20, 60), (60, 180)):
            here = own[own["horizon"] == horizon].sort_values("val_loss")
            there = set(own["trial"][own["horizon"] == higher])
            assert there == set(here["trial"][: len(here) // 3])
    steps = [(e.rung, e.of, e.schedules, e.horizon) for e in events if isinstance(e, AtRung)]
    assert steps == [(1, 3, 9, 20), (2, 3, 3, 60), (3, 3, 1, 180)] * 2


def test_what_is_stored_of_a_trial(tried: tuple[Run, Plan, list[Event]]) -> None:
    run, _, events = tried
    trials, rungs = run.trials(), run.rungs()
    assert list(trials["state"].value_counts().loc[["finished", "pruned"]]) == [2, 16]
    spent = {20: 20, 60: 80, 180: 260}
    assert list(trials["spent_steps"]) == [spent[h] for h in trials["horizon"]]
    assert list(trials["steps"]) == list(trials["horizon"])
    assert trials["spent_steps"].sum() == 2 * (9 * 20 + 3 * 60 + 180)
    told = optuna.load_study(study_name=run.name, storage=run.storage).trials
    for trial in told:
        own = rungs[rungs["trial"] == trial.number]
        assert trial.intermediate_values == dict(zip(own["horizon"], own["val_loss"], strict=True))
        assert trial.value == own["val_loss"].iloc[-1]
        assert (trial.state == TrialState.COMPLETE) == (own["horizon"].iloc[-1] == 180)
    ended = {e.trial: e.state for e in events if isinstance(e, Trained)}
    assert ended == dict(zip(trials["trial"], trials["state"], strict=True))


def test_only_what_reached_the_full_horizon_is_ranked(
    tried: tuple[Run, Plan, list[Event]],
) -> None:
    run, _, events = tried
    trials, board = run.trials(), leaderboard_of(run)
    full = trials[trials["horizon"] == 180]
    assert run.best.trial == full.sort_values("val_loss")["trial"].iloc[0]
    assert set(board["trial"].dropna()) <= set(full["trial"])
    assert (board["finished"].sum(), board["pruned"].sum()) == (2, 16)
    best = [e.best_value for e in events if isinstance(e, Trained)][-1]
    assert best == full["val_loss"].min()


@pytest.mark.parametrize("kind", ["squeeze", "truncate"])
@pytest.mark.parametrize("objective", ["val_loss", "val_accuracy"])
def test_the_fused_engine_climbs_the_same_rungs(launch: Launch, kind: str, objective: str) -> None:
    search = {"batch": 9, "objective": objective}
    runs = []
    for engine in ("reference", "fused"):
        training = {"engine": engine, "stack": 4 * (engine == "fused")}
        options = with_rungs(kind, training=training, search=search)
        options["families"] = ["Constant", "CosineAnnealingLR", "StepLR"]
        options["space"] |= {"peak_lr": [0.01, 0.2]}  # rates at which rounding errors don't grow
        runs.append(launch(name=engine, trials=9, **options).run)
    plain, fused = (run.rungs() for run in runs)
    assert list(plain["trial"]) == list(fused["trial"])
    assert list(plain["horizon"]) == list(fused["horizon"])
    np.testing.assert_allclose(plain["val_loss"], fused["val_loss"], rtol=1e-3)


WILD = {"families": ["Constant"], "space": {"peak_lr": [0.01, 1000.0], "warmup": "none"}}


@pytest.mark.parametrize("sampler", ["TPE", "GP"])
def test_what_diverged_stays_behind_and_never_ranks_as_good(launch: Launch, sampler: str) -> None:
    events: list[Event] = []
    args = {"n_startup_trials": 18}
    options = with_rungs(search={"sampler": sampler, "batch": 9, "sampler_args": args}) | WILD
    run = launch(trials=18, run_options={"on_event": events.append}, **options).run
    trials, rungs = run.trials(), run.rungs()
    diverged = set(trials["trial"][trials["state"] == "diverged"])
    assert 4 <= len(diverged) <= 14
    assert run.best.trial not in diverged
    assert not diverged & set(rungs["trial"][rungs["horizon"] == 180])
    assert (trials["steps"][trials["state"] == "diverged"] <= 180).all()
    study = optuna.load_study(study_name=run.name, storage=run.storage)
    complete = {t.number for t in study.trials if t.state == TrialState.COMPLETE}
    full = set(trials["trial"][trials["state"] == "finished"])
    if sampler == "GP":
        assert any("learns nothing from trials" in e.text for e in events if isinstance(e, Note))
        assert complete == full | diverged
        told = {number: study.trials[number].values[0] for number in complete}
        assert min(told[number] for number in diverged) > max(told[number] for number in full)
        return
    assert complete == full
    for good in range(1, len(full) + 1):
        below, _ = _split_trials(study, study.trials, good)
        assert not {t.number for t in below} & diverged


def test_where_a_whole_cohort_diverges_the_search_goes_on(launch: Launch) -> None:
    events: list[Event] = []
    options = with_rungs() | WILD | {"space": {"peak_lr": [500.0, 1000.0], "warmup": "none"}}
    with pytest.raises(RunError, match="all 12 trials"):
        launch(trials=12, run_options={"on_event": events.append}, **options)
    assert [e.rung for e in events if isinstance(e, AtRung)] == [1, 1]


def test_without_rungs_there_is_one_rung_for_each_that_finished(finished: Path) -> None:
    run = open_run(finished)
    trials, rungs = run.trials(), run.rungs()
    assert set(trials["horizon"]) == {60}
    assert list(trials["spent_steps"]) == list(trials["steps"])
    assert list(rungs["trial"]) == list(trials["trial"][trials["state"] == "finished"])
    told = optuna.load_study(study_name=run.name, storage=run.storage).trials
    assert not any(trial.intermediate_values for trial in told)


def test_what_stays_behind_is_stored_before_the_next_rung_begins(
    launch: Launch, runs_dir: Path
) -> None:
    """A rung may take hours, and its process may be killed."""
    stored: list[int] = []

    def look(event: Event) -> None:
        if isinstance(event, AtRung):
            states = open_run(runs_dir / "tiny").trials()["state"]
            stored.append(int((states == "pruned").sum()))

    launch(trials=9, run_options={"on_event": look}, **with_rungs())
    assert stored == [0, 6, 8]


def test_rungs_are_part_of_what_a_run_is(launch: Launch) -> None:
    launch(trials=9, **with_rungs())
    assert len(launch(trials=12, **with_rungs()).run.trials()) == 12
    with pytest.raises(RunError, match=r"fidelity.kind: 'squeeze' -> 'truncate'"):
        launch(trials=12, **with_rungs("truncate"))
    with pytest.raises(RunError, match=r"fidelity.horizons: \[20, 60, 180\] -> \[60, 180\]"):
        launch(trials=12, **with_rungs(fidelity=RUNGS["fidelity"] | {"rungs": 2}))
    with pytest.raises(RunError, match=r"fidelity.eta: 3 -> None"):
        launch(trials=12, **with_rungs("full"))


def test_a_resumed_study_draws_what_one_drew_that_was_not_interrupted(launch: Launch) -> None:
    search = {"sampler": "TPE", "sampler_args": {"n_startup_trials": 4}, "batch": 9}
    options = with_rungs(search=search)
    launch(name="resumed", trials=9, **options)
    resumed = launch(name="resumed", trials=27, **options).run.trials()
    whole = launch(name="whole", trials=27, **options).run.trials()
    columns = ["trial", "schedule", "state", "val_loss", "horizon", "spent_steps"]
    pd.testing.assert_frame_equal(resumed[columns], whole[columns], check_exact=True)
