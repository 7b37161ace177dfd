"""Rank mode: a study and as many trials for each family, trained together as one run."""

from collections.abc import Callable
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState
from plans import plan_of
from rung_studies import EVALS, HORIZONS, with_rungs

from schedsearch import Run
from schedsearch.errors import ConfigError, RunError
from schedsearch.launch import Outcome
from schedsearch.report.convergence import convergence_of
from schedsearch.report.leaderboard import leaderboard_of
from schedsearch.report.snapshot import Snapshot
from schedsearch.search.events import AtRung, Event, Started, Trained
from schedsearch.search.plan import divided
from schedsearch.store.place import study_ids

Launch = Callable[..., Outcome]

FAMILIES = ["StepLR", "Constant", "ExponentialLR"]
RANK: dict[str, Any] = {"mode": "rank", "families": FAMILIES}
SAMPLED = ["study", "trial", "schedule"]
REACHED = [*SAMPLED, "state", "val_loss", "val_accuracy"]


def study_of(run: Run, family: str) -> optuna.Study:
    return optuna.load_study(study_name=f"{run.name}/{family}", storage=run.storage)


def counts(run: Run) -> dict[str, int]:
    """Count what has ended of each family."""
    trials = run.trials()
    ended = trials[trials["state"].isin(("finished", "pruned", "diverged"))]
    return {family: int((ended["family"] == family).sum()) for family in FAMILIES}


@pytest.fixture(scope="module")
def ranked(
    make_config: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Run, list[Event]]:
    """Return a run with rungs, of 10, 10 and 9 trials, and what it told; to read from."""
    from schedsearch import run_study

    options = with_rungs(fidelity={"checks": 2}) | RANK
    config = make_config(name="ranked", trials=29, **options)
    events: list[Event] = []
    folder = tmp_path_factory.mktemp("runs")
    outcome = run_study(config, runs_dir=folder, device="cpu", on_event=events.append)
    return outcome.run, events


@given(total=st.integers(1, 5000), more=st.integers(0, 500), parts=st.integers(1, 40))
def test_a_total_is_divided_evenly_and_no_part_shrinks_when_it_grows(
    total: int, more: int, parts: int
) -> None:
    each = divided(total, parts)
    assert sum(each) == total
    assert max(each) - min(each) <= 1
    assert list(each) == sorted(each, reverse=True), "the first get what remains"
    assert all(b >= a for a, b in zip(each, divided(total + more, parts), strict=True))


@pytest.mark.parametrize("total", [3, 4, 8])
def test_each_family_gets_as_many_trials(launch: Launch, total: int) -> None:
    run = launch(trials=total, **RANK).run
    assert list(counts(run).values()) == divided(total, 3)
    assert len(run.trials()) == total


def test_each_study_holds_its_own_family_and_no_choice_of_it(
    ranked: tuple[Run, list[Event]],
) -> None:
    run, _ = ranked
    assert counts(run) == {"StepLR": 10, "Constant": 10, "ExponentialLR": 9}
    own = {
        "StepLR": {"StepLR.step_frac", "StepLR.gamma"},
        "Constant": set(),
        "ExponentialLR": {"ExponentialLR.final_factor"},
    }
    shared = {"peak_lr", "warmup", "warmup_frac"}
    for family in FAMILIES:
        study = study_of(run, family)
        assert {t.number for t in study.trials} == set(range(len(study.trials)))
        assert set().union(*(t.params for t in study.trials)) == own[family] | shared
        assert study.direction == optuna.study.StudyDirection.MINIMIZE
    trials = run.trials()
    assert (trials["study"] == "ranked/" + trials["family"]).all()
    book = optuna.load_study(study_name="ranked", storage=run.storage)
    assert book.trials == []
    assert "ranked/FAMILY" in book.user_attrs["mode"]


def test_the_rungs_are_checked_by_one_study_over_all_families(
    ranked: tuple[Run, list[Event]],
) -> None:
    run, _ = ranked
    checks = study_of(run, "fidelity").trials
    assert len(checks) == len(run.checks()) == 2
    assert all("family" in trial.params for trial in checks)
    assert not {"ranked", "ranked/fidelity"} & set(run.trials()["study"])


def test_families_are_trained_together_and_compared_each_with_itself(
    ranked: tuple[Run, list[Event]],
) -> None:
    run, events = ranked
    rungs = [(e.rung, e.schedules) for e in events if isinstance(e, AtRung)]
    # the checks; three cohorts of 9; what is left of two families, one each
    assert rungs[:8] == [(1, 2), (2, 2), (3, 2), (1, 27), (2, 9), (3, 3), (1, 2), (2, 2)]
    frame = run.rungs()
    for family in FAMILIES:
        cohort = frame[(frame["family"] == family) & (frame["trial"] < 9)]
        for horizon, higher in pairwise(HORIZONS):
            here = cohort[cohort["horizon"] == horizon].sort_values("val_loss")
            there = set(cohort["trial"][cohort["horizon"] == higher])
            assert there == set(here["trial"][: ceil(len(here) / 3)])
    # else the worst family would have had none
    first = frame[(frame["horizon"] == 20) & (frame["trial"] < 9)]
    best = first.nsmallest(9, "val_loss")["family"].value_counts()
    assert dict(best) != dict.fromkeys(FAMILIES, 3), "choose another seed for this test"


def test_progress_counts_all_families(ranked: tuple[Run, list[Event]]) -> None:
    run, events = ranked
    started = [e for e in events if isinstance(e, Started)]
    assert started == [Started("ranked/fidelity", 0, 2), Started("ranked", 0, 29)]
    trained = [e for e in events if isinstance(e, Trained)][2:]
    assert [e.finished for e in trained] == list(range(1, 30))
    assert {e.total for e in trained} == {29}
    assert trained[-1].best_value == run.best.result["val_loss"]
    assert trained[-1].best_family == run.best.schedule.family


def test_one_run_to_all_who_read_it(ranked: tuple[Run, list[Event]]) -> None:
    run, _ = ranked
    trials, board = run.trials(), leaderboard_of(run)
    finished = trials[trials["state"] == "finished"]
    assert sorted(board["family"]) == sorted(FAMILIES)
    assert board["val_loss"].is_monotonic_increasing
    for row in board.itertuples():
        own = finished[finished["family"] == row.family]
        assert row.val_loss == own["val_loss"].min()
        assert len(own) == row.finished
    best = run.best
    assert best.result["val_loss"] == finished["val_loss"].min()
    assert run.study_of(best.schedule.family) == f"ranked/{best.schedule.family}"
    keys = ["study", "trial", "step"]
    assert not run.curves().duplicated(keys).any()
    assert run.curves().groupby(["study", "trial"]).ngroups == 29
    convergence = convergence_of([run])
    by_family = dict(zip(board["family"], board["val_loss"], strict=True))
    last = convergence.losses[convergence.losses["measure"] == "100%"]
    for row in last.itertuples():
        assert row.value == by_family[row.family], "the curve of this family's trial"
    assert convergence.best["ended"].max() == 29
    snapshot = Snapshot.of(run)
    assert len(snapshot.ended()) == 29
    assert len(snapshot.curve_of(run.study_of("StepLR"), 0)) == EVALS


def test_families_draw_apart_and_none_depends_on_who_else_takes_part(launch: Launch) -> None:
    """Random sampling: what a family draws and reaches is the same beside other families."""
    few = RANK | {"families": ["ExponentialLR", "StepLR"]}
    three, two = (launch(name=n, trials=t, **o).run for n, t, o in (("a", 9, RANK), ("b", 6, few)))
    rates = {family: own["peak_lr"].tolist() for family, own in three.trials().groupby("family")}
    assert len({rate for own in rates.values() for rate in own}) == 9
    for family in few["families"]:
        own, same = (
            run.trials().query(f"family == '{family}'")[REACHED[1:]].reset_index(drop=True)
            for run in (three, two)
        )
        pd.testing.assert_frame_equal(own, same, rtol=1e-4)


def test_the_trials_at_once_are_divided_and_cohorts_are_not(
    make_config: Callable[..., Any],
) -> None:
    plan = plan_of(make_config(trials=30, search={"batch": 8}, **RANK))
    assert [part.batch for part in plan.searches] == [3, 3, 3]
    assert plan.at_once == 9
    assert plan.search_steps(30) == 30 * 60
    rungs = plan_of(make_config(trials=29, **(with_rungs() | RANK)))
    assert rungs.at_once == 3 * 9
    cohort, alone = 9 * 20 + 3 * 60 + 180, 20 + 60 + 180
    assert rungs.search_steps(29) == 3 * cohort + 2 * alone
    search = plan_of(make_config(trials=30, search={"batch": 8}))
    assert [(part.family, part.trials) for part in search.searches] == [("", 30)]
    assert search.at_once == 8


def test_a_pruner_is_each_familys_own(launch: Launch) -> None:
    search = {"pruner": "ThresholdPruner", "pruner_args": {"upper": 0.9}, "batch": 4}
    run = launch(trials=12, search=search, **RANK).run
    assert {"pruned", "finished"} <= set(run.trials()["state"])
    for family in FAMILIES:
        for trial in study_of(run, family).trials:
            early = [v for step, v in trial.intermediate_values.items() if step < 60]
            diverged = trial.user_attrs["diverged"]
            assert (trial.state == TrialState.PRUNED) == (diverged or max(early) > 0.9)


def test_mode_is_part_of_what_a_run_is(launch: Launch) -> None:
    launch(name="r", trials=3, **RANK)
    with pytest.raises(RunError, match=r"mode: 'rank' -> 'search'"):
        launch(name="r", trials=3, families=FAMILIES)
    searched = launch(name="s", trials=3, families=FAMILIES).run
    assert "mode" not in searched.attributes["identity"], "as in runs of before"
    assert list(study_ids(searched.storage, "s")) == ["s", "s/test"]
    with pytest.raises(RunError, match=r"mode: 'search' -> 'rank'"):
        launch(name="s", trials=3, **RANK)


def test_a_study_of_somebody_elses_is_left_alone(launch: Launch, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    theirs = optuna.create_study(study_name="tiny/Constant", storage=url)
    theirs.optimize(lambda trial: trial.suggest_float("x", 0.0, 1.0), n_trials=1)
    with pytest.raises(RunError, match=r"a study 'tiny/Constant' that is none of schedsearch's"):
        launch(trials=3, run_options={"storage": url}, **RANK)
    assert len(theirs.trials) == 1


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"trials": 2}, r"trials = 2: mode = 'rank' gives each of 3 families"),
        (
            {"trials": 3, "confirmation": {"seeds": 3, "test": "welch"}},
            r"a winner against 4 others needs at least 4 seeds",
        ),
    ],
)
def test_what_cannot_be_ranked_is_refused(
    launch: Launch, runs_dir: Path, changes: dict[str, Any], text: str
) -> None:
    with pytest.raises(ConfigError, match=text):
        launch(**(RANK | changes))
    assert not runs_dir.exists()


def test_a_family_of_ones_own_takes_part(
    launch: Launch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine_to_rank.py").write_text(
        "from torch.optim.lr_scheduler import ExponentialLR\n"
        "from schedsearch import Family\n"
        "MINE = Family('mine_to_rank:MINE', 'Decays.', (),\n"
        "              lambda o, p, run: ExponentialLR(o, 0.1 ** (1 / run.total_steps)))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    run = launch(trials=4, mode="rank", families=["mine_to_rank:MINE", "StepLR"]).run
    assert len(study_of(run, "mine_to_rank:MINE").trials) == 2
    assert set(leaderboard_of(run)["family"]) == {"mine_to_rank:MINE", "StepLR"}
