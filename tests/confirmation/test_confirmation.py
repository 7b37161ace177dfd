"""The best of a search, trained again on fresh seeds: what is trained, once, and resumed."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from confirmations import FRESH, SMALL, check_whole, seed_of, stored
from plans import plain_curves, plan_of

from schedsearch import Schedule, open_run
from schedsearch.confirmation.read import confirmation_frame, confirmation_of, last_confirmation
from schedsearch.errors import ConfigError, RunError
from schedsearch.launch import Outcome, confirm_run
from schedsearch.report.leaderboard import leaderboard_of
from schedsearch.search.events import Confirming, Event, Trained
from schedsearch.seeds import derive_seed
from schedsearch.store.delete import delete_run
from schedsearch.store.leases import ATTEMPT
from schedsearch.store.pairs import pair_of
from schedsearch.store.place import run_names, study_ids
from schedsearch.store.records import read_result, read_schedule
from schedsearch.training import reference
from schedsearch.training.recipe import Job, Recipe

Launch = Callable[..., Outcome]
Race = Callable[..., list[tuple[int, str, str]]]
StudyFile = Callable[..., Path]


def test_finalists_and_references_are_trained_on_the_same_fresh_seeds(launch: Launch) -> None:
    run = launch(**SMALL).run
    frame, trials = confirmation_frame(run), check_whole(run)
    assert list(frame["place"]) == [1, 2, 3, 4]
    assert (frame["seeds"] == 4).all()
    best = run.trials().sort_values("val_loss")["trial"][:2]
    finalists = frame[frame["roles"].str.contains("finalist")]
    assert set(finalists["trial"]) == set(best)
    assert set(frame["roles"]) == {"finalist", "Constant", "CosineAnnealingLR"}
    fresh = [t for t in trials if seed_of(t) in FRESH]
    by_schedule: dict[str, list[int]] = {}
    for trial in fresh:
        by_schedule.setdefault(str(pair_of(trial)), []).append(seed_of(trial))
    for text in frame["json"]:
        seeds = sorted(seed_of(t) for t in fresh if read_schedule(t) == Schedule.from_json(text))
        assert seeds == sorted(FRESH)
    assert derive_seed(0, "training") not in FRESH
    assert derive_seed(0, "test") not in FRESH


def test_a_training_of_the_confirmation_is_that_of_the_plain_loop(launch: Launch) -> None:
    outcome = launch(**SMALL)
    plan = plan_of(outcome.run.config)
    frame = confirmation_frame(outcome.run)
    for text, mean in zip(frame["json"], frame["mean"], strict=True):
        curves = plain_curves(plan, [Schedule.from_json(text)] * 4, 60, FRESH)
        assert mean == pytest.approx(sum(c.final.val_loss for c in curves) / 4, rel=1e-4)


def test_the_search_knows_nothing_of_it(launch: Launch) -> None:
    with_it = launch(**SMALL, name="with").run
    without = launch(trials=4, training=SMALL["training"], name="without").run
    columns = ["trial", "family", "schedule", "state", "val_loss"]
    pd.testing.assert_frame_equal(with_it.trials()[columns], without.trials()[columns])
    assert set(with_it.trials()["study"]) == {"with"}
    assert len(with_it.curves()) == len(without.curves())
    assert len(leaderboard_of(with_it)) == len(leaderboard_of(without))
    assert run_names(with_it.storage) == {"with"}
    assert confirmation_frame(without).empty
    columns = list(map(str, confirmation_frame(without).columns))
    same = confirmation_frame(with_it)[columns]
    assert list(confirmation_frame(without).dtypes) == list(same.dtypes)
    others = set(confirmation_frame(with_it)) - set(columns)
    assert others == {"test_loss", "test_accuracy"}, "nothing was tested without a confirmation"


def test_a_reference_is_tuned_at_the_full_horizon_where_the_search_tried_it_seldom(
    launch: Launch,
) -> None:
    space = {"peak_lr": [0.01, 1.0], "warmup": "none"}
    run = launch(
        trials=9, families=["Constant"], space=space, confirmation=SMALL["confirmation"]
    ).run
    tuned = [t for t in stored(run) if seed_of(t) == derive_seed(0, "training")]
    schedules = [read_schedule(t) for t in tuned]
    assert {s.family for s in schedules if s} == {"CosineAnnealingLR"}, "Constant was tried enough"
    assert all(s and s.warmup for s in schedules)
    assert [s.peak_lr for s in schedules if s] == pytest.approx(
        [0.01 * 100 ** (i / 7) for i in range(8)]
    )
    assert all(read_result(t)["steps"] == 60 or read_result(t)["diverged"] for t in tuned)
    frame = confirmation_frame(run)
    best = frame[frame["roles"].str.contains("Constant")].iloc[0]
    assert best["roles"] == "finalist, Constant", "the best of the search is that reference too"
    assert best["trial"] == run.best.trial
    cosine = frame[frame["roles"] == "CosineAnnealingLR"].iloc[0]
    assert cosine["search_value"] == min(
        read_result(t)["val_loss"] for t in tuned if not read_result(t)["diverged"]
    )
    assert pd.isna(cosine["trial"])


@pytest.mark.parametrize("after", [("tuning the baselines", 5), ("confirming", 7)], ids=str)
def test_an_interrupted_confirmation_goes_on_and_ends_like_one_that_was_not(
    launch: Launch, after: tuple[str, int], runs_dir: Path
) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, Confirming) and (event.what, event.done) == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launch(**SMALL, name="stopped", run_options={"on_event": stop})
    run = open_run(runs_dir / "stopped")
    before = {t.number: t for t in stored(run) if t.state.is_finished()}
    assert before, "what had ended was kept"
    assert last_confirmation(run) is None
    assert not run.being_trained()
    assert not (runs_dir / "stopped" / "best.json").exists()
    seen: list[Event] = []
    stopped = launch(**SMALL, name="stopped", run_options={"on_event": seen.append})
    assert not [e for e in seen if isinstance(e, Trained)], "the search is not gone on with"
    done = {t.number: t for t in check_whole(stopped.run)}
    for number, trial in before.items():
        assert done[number].datetime_complete == trial.datetime_complete, "not trained again"
    assert {t.user_attrs[ATTEMPT] for t in done.values()} == {1, 2}
    whole = launch(**SMALL, name="whole")
    pd.testing.assert_frame_equal(confirmation_frame(stopped.run), confirmation_frame(whole.run))
    assert stopped.best_path.exists()


def test_a_second_launch_trains_nothing_and_reads_nothing(
    launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits: list[Schedule] = []

    def counting(recipe: Recipe, job: Job, **options: Any) -> Any:
        if job.seed == derive_seed(0, "test"):
            fits.append(job.schedule)
        return original(recipe, job, **options)

    original = reference.fit
    monkeypatch.setattr(reference, "fit", counting)
    first = launch(**SMALL)
    frame = confirmation_frame(first.run)
    read = frame.dropna(subset=["test_accuracy"])
    assert set(read["json"]) == {s.to_json() for s in fits}, "the winner and both baselines"
    assert len(fits) == len(set(fits)) in (2, 3)
    assert read["place"].min() == 1
    text = first.best_path.read_text()
    again = launch(
        **SMALL,
        run_options={
            "on_event": lambda event: (
                pytest.fail(str(event)) if isinstance(event, Confirming) else None
            )
        },
    )
    assert len(fits) == len(read)
    assert again.best_path.read_text() == text
    assert again.winner == first.winner


def test_more_seeds_are_added_and_none_is_taken_away(launch: Launch) -> None:
    run = launch(**SMALL).run
    before = {pair_of(t): t.datetime_complete for t in stored(run)}
    more = confirm_run(run, seeds=6, finalists=3, device="cpu").run
    frame = confirmation_frame(more)
    assert set(frame["seeds"]) == {6}
    assert len(frame) == 5
    now = {pair_of(t): t.datetime_complete for t in stored(more)}
    assert {pair: now[pair] for pair in before} == before, "what is done is kept"
    assert len(now) == len(before) + 4 * 2 + 6
    assert "a look at 4" in last_confirmation(more).sentence()  # type: ignore[union-attr]
    fewer = launch(**SMALL).run
    assert set(confirmation_frame(fewer)["seeds"]) == {6}, "fewer would be a choice by the results"
    assert len(confirmation_frame(fewer)) == 5


def test_more_trials_are_confirmed_anew_and_until_then_it_says_so(launch: Launch) -> None:
    run = launch(**SMALL).run
    assert confirmation_of(run) is not None
    later = launch(trials=8).run
    assert last_confirmation(later) is not None
    assert confirmation_of(later) is None, "four of the trials were not known then"
    anew = launch(trials=8, confirmation=SMALL["confirmation"]).run
    assert confirmation_of(anew) is not None
    assert confirmation_of(anew).basis.tried == 8  # type: ignore[union-attr]
    finalists = confirmation_frame(anew).query("roles.str.contains('finalist')")
    assert set(finalists["trial"]) == set(anew.trials().sort_values("val_loss")["trial"][:2])


def test_it_can_be_confirmed_later(launch: Launch) -> None:
    run = launch(trials=4, training=SMALL["training"]).run
    outcome = confirm_run(run, seeds=4, finalists=2, device="cpu")
    check_whole(outcome.run)
    same = confirmation_frame(launch(**SMALL, name="at-once").run)
    pd.testing.assert_frame_equal(confirmation_frame(outcome.run), same)
    kept = launch(trials=4, training=SMALL["training"])
    assert confirmation_of(kept.run) is not None, "a study without one leaves it as it is"
    assert kept.winner is not None
    assert kept.winner.schedule == confirmation_of(kept.run).winner.finalist.schedule  # type: ignore[union-attr]


def test_a_run_and_its_confirmation_are_moved_and_deleted_together(
    launch: Launch, runs_dir: Path
) -> None:
    frame = confirmation_frame(launch(**SMALL, name="old").run)
    shutil.copytree(runs_dir / "old", runs_dir / "copy")
    (runs_dir / "old").rename(runs_dir / "new")
    for folder in ("copy", "new"):
        pd.testing.assert_frame_equal(confirmation_frame(open_run(runs_dir / folder)), frame)
    again = launch(**SMALL, name="new")
    check_whole(again.run)
    storage, name = again.run.storage, again.run.name
    assert len(study_ids(storage, name)) == 3
    delete_run(again.run)
    assert not (runs_dir / "new").exists()


@pytest.mark.parametrize(
    ("confirmation", "text"),
    [
        ({"seeds": 2}, r"Welch's t-test of a winner against 5 others needs at least 4 seeds"),
        ({"seeds": 4, "test": "paired"}, r"the paired t-test .* at least 5 seeds"),
        ({"seeds": 7, "finalists": 8, "test": "wilcoxon"}, r"signed-rank .* 9 others .* 8 seeds"),
    ],
)
def test_seeds_too_few_for_the_test_are_refused_before_anything_is_trained(
    launch: Launch, runs_dir: Path, confirmation: dict[str, Any], text: str
) -> None:
    with pytest.raises(ConfigError, match=text):
        launch(confirmation=confirmation)
    assert not runs_dir.exists()


def test_a_run_without_a_finished_trial_is_refused(launch: Launch, runs_dir: Path) -> None:
    def stop(event: Event) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launch(trials=2, run_options={"on_event": stop})
    with pytest.raises(RunError, match="no finished trial to confirm"):
        confirm_run(open_run(runs_dir / "tiny"), device="cpu")
