"""What TPE is shown of a long study: its good trials are those of the whole."""

import random
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import optuna
import pandas as pd
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers._tpe.sampler import _split_trials, default_gamma
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial
from plans import plan_of

from schedsearch.config import StudyConfig
from schedsearch.launch import Outcome
from schedsearch.search.mirror import Mirror, visible
from schedsearch.store.records import SCHEDULE

Launch = Callable[..., Outcome]

MINIMIZE, MAXIMIZE = StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE
COMPLETE, PRUNED, RUNNING = TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING


def finished(count: int, complete: float = 0.7, seed: int = 0) -> list[FrozenTrial]:
    """Make finished trials: complete ones, pruned at different steps, pruned before all reports."""
    draw = random.Random(seed)
    trials = []
    for number in range(count):
        value = round(draw.uniform(0.0, 1.0), 2)  # some are equal
        if draw.random() < complete:
            trial = create_trial(state=COMPLETE, value=value)
        else:
            steps = range(1, draw.randrange(5))
            reports = {step: draw.uniform(0.0, 1.0) for step in steps}
            trial = create_trial(state=PRUNED, intermediate_values=reports)
        trial.number = number
        trials.append(trial)
    return trials


def good(trials: Sequence[FrozenTrial], direction: StudyDirection) -> set[int]:
    """Return the trials that TPE takes for good ones."""
    study = optuna.create_study(direction=direction)
    below, _ = _split_trials(study, list(trials), default_gamma(len(trials)))
    return {trial.number for trial in below}


@pytest.mark.parametrize("direction", [MINIMIZE, MAXIMIZE], ids=lambda d: d.name)
@pytest.mark.parametrize("complete", [1.0, 0.7, 0.03, 0.0])
def test_the_good_trials_are_those_of_the_whole_study(
    direction: StudyDirection, complete: float
) -> None:
    trials = finished(1000, complete)
    seen = visible(trials, 250, direction)
    assert len(seen) == 250
    shown = [trial for trial in trials if trial.number in seen]
    assert len(good(shown, direction)) == 25
    assert good(shown, direction) == good(trials, direction)


def test_the_rest_is_spread_evenly_over_the_study() -> None:
    trials = finished(1000)
    rest = sorted(visible(trials, 250, MINIMIZE) - good(trials, MINIMIZE))
    gaps = [after - before for before, after in pairwise(rest)]
    assert len(rest) == 225
    assert rest[0] <= 5
    assert rest[-1] >= 990
    assert max(gaps) <= 8


@pytest.mark.parametrize(("count", "history"), [(7, 0), (1000, 0), (250, 250), (3, 250), (0, 250)])
def test_a_short_study_is_shown_whole(count: int, history: int) -> None:
    assert visible(finished(count), history, MINIMIZE) == set(range(count))


@pytest.mark.parametrize("history", [1, 5, 25, 26])
def test_a_short_history_holds_the_best(history: int) -> None:
    seen = visible(finished(100, complete=1.0), history, MINIMIZE)
    assert len(seen) == history
    best = sorted(finished(100, complete=1.0), key=lambda trial: (trial.value, trial.number))
    assert seen >= {trial.number for trial in best[: min(25, history)]}


def test_the_sampler_sees_that_and_all_running_trials(
    make_config: Callable[..., StudyConfig],
) -> None:
    search = {"sampler": "TPE", "history": 30, "batch": 4}
    (part,) = plan_of(make_config(families=["Constant"], search=search)).searches
    study = optuna.create_study()
    distributions: dict[str, BaseDistribution] = {"peak_lr": FloatDistribution(0.01, 1.0, log=True)}
    for trial in finished(80):
        study.add_trial(
            create_trial(
                state=trial.state,
                value=trial.value if trial.state == COMPLETE else None,
                params={"peak_lr": 0.1},
                distributions=distributions,
                intermediate_values=trial.intermediate_values,
                system_attrs={SCHEDULE: {}},
            )
        )
    study.add_trial(create_trial(state=RUNNING, system_attrs={SCHEDULE: {}}))
    mirror = Mirror(study, part)
    mirror.update(study.get_trials())
    expected = {*visible(study.get_trials()[:80], 30, MINIMIZE), 80}
    assert {trial.number for trial in mirror.study.get_trials()} == expected
    assert not any(trial.system_attrs for trial in mirror.study.get_trials())
    drawn, _ = mirror.sample(81)
    told = mirror.study.get_trials()
    assert [t.number for t in told if t.state == RUNNING] == [80, 81], "the liar's own"
    assert told[-1].params == drawn.params
    assert mirror.study.get_trials(states=[COMPLETE]) == [t for t in told if t.state == COMPLETE]


@pytest.mark.parametrize("sampler", ["TPE", "random"])
def test_what_another_machine_drew_replaces_what_was_drawn_here(
    make_config: Callable[..., StudyConfig], sampler: str
) -> None:
    (part,) = plan_of(make_config(families=["Constant"], search={"sampler": sampler})).searches
    study = optuna.create_study()
    mirror = Mirror(study, part)
    drawn, _ = mirror.sample(0)
    mirror.forget(0)
    theirs = {"peak_lr": 0.5}
    assert drawn.params["peak_lr"] != theirs["peak_lr"]
    distributions: dict[str, BaseDistribution] = {"peak_lr": drawn.distributions["peak_lr"]}
    study.add_trial(
        create_trial(
            value=0.5, params=theirs, distributions=distributions, system_attrs={SCHEDULE: {}}
        )
    )
    mirror.update(study.get_trials())
    seen = mirror.study.get_trials(states=[COMPLETE, RUNNING])
    assert [(trial.state, trial.params) for trial in seen] == [(COMPLETE, theirs)]


@pytest.mark.parametrize("args", [{}, {"multivariate": False}, {"group": True}], ids=str)
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_resumed_tpe_study_equals_one_that_was_not_interrupted(
    launch: Launch, args: dict[str, Any]
) -> None:
    sampler_args = {"n_startup_trials": 2, **args}
    search = {"sampler": "TPE", "sampler_args": sampler_args, "history": 5, "batch": 3}
    columns = ["trial", "schedule", "state", "val_loss"]
    launch(name="resumed", trials=9, search=search)
    resumed = launch(name="resumed", trials=15, search=search).run.trials()
    whole = launch(name="whole", trials=15, search=search).run.trials()
    pd.testing.assert_frame_equal(resumed[columns], whole[columns], check_exact=True)
    assert whole["schedule"].is_unique


def test_only_tpe_learns_from_part(make_config: Callable[..., StudyConfig]) -> None:
    for sampler in ("random", "QMC", "GP", "CMA-ES"):
        search = {"sampler": sampler, "history": 5}
        (part,) = plan_of(make_config(families=["Constant"], search=search)).searches
        study = optuna.create_study()
        for _ in range(20):
            study.add_trial(create_trial(value=0.5, system_attrs={SCHEDULE: {}}))
        mirror = Mirror(study, part)
        mirror.update(study.get_trials())
        assert len(mirror.study.get_trials()) == 20


def test_what_finished_trials_have_in_common_is_found_once_a_batch(
    make_config: Callable[..., StudyConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    (part,) = plan_of(make_config(families=["Constant"], search={"sampler": "TPE"})).searches
    study = optuna.create_study()
    mirror, spaces = Mirror(study, part), []
    for batch in range(3):
        mirror.update(study.get_trials())
        for number in range(15 * batch, 15 * (batch + 1)):
            drawn, _ = mirror.sample(number)
            spaces.append(sorted(mirror._sampler.infer_relative_search_space(mirror.study, drawn)))
            study.add_trial(
                create_trial(
                    value=0.5,
                    params=drawn.params,
                    distributions=drawn.distributions,
                    system_attrs={SCHEDULE: {}},
                )
            )
    assert spaces[:15] == [[]] * 15, "nothing has finished"
    assert all("peak_lr" in space for space in spaces[15:])


def test_what_the_dashboard_keeps_with_a_study_is_neither_taken_nor_written_back(
    make_config: Callable[..., StudyConfig],
) -> None:
    (part,) = plan_of(make_config(families=["Constant"])).searches
    study = optuna.create_study()
    storage, study_id = study._storage, study._study_id
    storage.set_study_system_attr(study_id, "dashboard:note_ver", 1)
    storage.set_study_system_attr(study_id, "a sampler's", 1)
    mirror = Mirror(study, part)
    mirror.update([])
    storage.set_study_system_attr(study_id, "dashboard:note_ver", 2)  # published meanwhile
    mirror.keep_for_sampler()
    kept = mirror.study._storage.get_study_system_attrs(mirror.study._study_id)
    assert kept == {"a sampler's": 1}
    assert storage.get_study_system_attrs(study_id)["dashboard:note_ver"] == 2
