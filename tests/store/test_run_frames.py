"""A run read back: tidy frames with the documented columns and dtypes, whatever there is in it."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial
from rows import CURVE_COLUMNS, TRIAL_COLUMNS

from schedsearch import Run, Schedule, StudyConfig, open_run
from schedsearch.errors import ConfigError, RunError
from schedsearch.launch import Outcome
from schedsearch.report.leaderboard import LEADERBOARD_COLUMNS, leaderboard_of
from schedsearch.search.create import open_study
from schedsearch.search.draft import draft_of
from schedsearch.store.connect import open_storage
from schedsearch.store.delete import delete_run
from schedsearch.store.place import place_run

Launch = Callable[..., Outcome]


def dtypes(frame: pd.DataFrame) -> dict[str, str]:
    return {name: str(dtype) for name, dtype in frame.dtypes.items()}  # type: ignore[misc]


@pytest.fixture
def empty(make_config: Callable[..., StudyConfig], runs_dir: Path) -> Run:
    """Return a run that was made, and in which nothing has been asked yet."""
    place = place_run("tiny", runs_dir, None)
    storage = open_storage(place.url)
    draft = draft_of(make_config(), "cpu")
    open_study(storage, place, draft, draft.given_peak_lr)
    return Run(place, storage)


def test_an_empty_run_has_empty_frames_of_the_same_shape(empty: Run) -> None:
    trials, curves, board = empty.trials(), empty.curves(), leaderboard_of(empty)
    assert (len(trials), len(curves), len(board)) == (0, 0, 0)
    assert dtypes(trials) == TRIAL_COLUMNS
    assert dtypes(curves) == CURVE_COLUMNS
    assert set(LEADERBOARD_COLUMNS) | {"val_accuracy"} == set(board.columns)
    with pytest.raises(RunError, match="no finished trial yet"):
        _ = empty.best
    assert empty.config.name == "tiny"


def test_a_study_that_another_version_stored_is_one_line(empty: Run) -> None:
    storage = empty.storage
    stored = empty.attributes["config"] | {"warp": 9}
    study_id = storage.get_study_id_from_name("tiny")
    storage.set_study_system_attr(study_id, "schedsearch:config", stored)
    with pytest.raises(ConfigError, match=r"another version.*'warp'") as caught:
        _ = Run(empty.place, storage).config
    assert len(str(caught.value).splitlines()) == 1


def test_frames_have_the_documented_columns_and_dtypes(finished: Path) -> None:
    run = open_run(finished)
    trials, curves = run.trials(), run.curves()
    assert dtypes(trials) == TRIAL_COLUMNS
    assert dtypes(curves) == CURVE_COLUMNS
    assert len(trials) == 8
    assert len(curves) == 8 * 5
    assert set(trials["study"]) == set(curves["study"]) == {"finished"}
    full = trials.drop(columns="steps_to_target")
    assert full.notna().all().all()
    assert curves.notna().all().all()


def test_trials_that_are_not_over_have_blanks(launch: Launch) -> None:
    """One that waits to be trained again, and one that failed: what they lack is missing."""
    run = launch(trials=1).run
    study_id = run.storage.get_study_id_from_name("tiny")
    from optuna.trial import TrialState

    waiting = run.storage.create_new_trial(study_id)
    run.storage.set_trial_state_values(waiting, TrialState.WAITING)
    failed = run.storage.create_new_trial(study_id)
    run.storage.set_trial_state_values(failed, TrialState.FAIL)
    run.storage.create_new_trial(study_id)
    trials, curves = run.trials(), run.curves()
    assert list(trials["state"]) == ["finished", "waiting", "failed", "running"]
    assert dtypes(trials) == TRIAL_COLUMNS
    assert dtypes(curves) == CURVE_COLUMNS
    blanks = trials.loc[1:, ["family", "peak_lr", "val_loss", "steps", "attempt", "schedule"]]
    assert blanks.isna().all().all()
    assert set(curves["trial"]) == {0}
    assert list(leaderboard_of(run)["finished"]) == [1]


def test_times_are_those_of_the_trial(launch: Launch) -> None:
    before = datetime.now() - timedelta(seconds=1)
    trials = launch(trials=2).run.trials()
    after = datetime.now() + timedelta(seconds=1)
    assert (trials["started"] >= pd.Timestamp(before)).all()
    assert (trials["started"] <= trials["ended"]).all()
    assert (trials["ended"] <= pd.Timestamp(after)).all()


def test_rows_of_the_two_frames_belong_together(finished: Path) -> None:
    run = open_run(finished)
    trials, curves = run.trials(), run.curves()
    last = curves.groupby("trial").last()
    for name in ("val_loss", "val_accuracy", "train_loss", "family", "seconds"):
        assert list(last[name]) == list(trials.set_index("trial")[name])
    reached = curves[curves["val_accuracy"] >= 0.96].groupby("trial")["step"].min()
    expected = trials.set_index("trial")["steps_to_target"].dropna()
    assert reached.to_dict() == expected.to_dict()
    for row in trials.itertuples():
        schedule = Schedule.from_json(str(row.schedule))
        assert row.warmup_frac == (schedule.warmup.frac if schedule.warmup else 0.0)
        assert json.loads(str(row.params)) == schedule.to_dict()["params"]


def test_a_run_reads_the_present_state(launch: Launch, runs_dir: Path) -> None:
    launch(trials=1)
    run = open_run(runs_dir / "tiny")
    assert len(run.trials()) == 1
    launch(trials=2)
    assert len(run.trials()) == 2
    assert run.config.trials == 2


def test_the_config_comes_back_as_it_was(
    make_config: Callable[..., StudyConfig], runs_dir: Path
) -> None:
    config = make_config(
        families=["StepLR", "MultiStepLR"],
        data="/nowhere",
        space={"peak_lr": [0.1, 0.2], "warmup": "none"},
        ranges={"StepLR": {"gamma": [0.1, 0.2]}, "MultiStepLR": {"gamma": 0.5}},
        training={"optimizer": "Adam", "optimizer_args": {"betas": [0.9, 0.99]}},
    )
    place = place_run("tiny", runs_dir, None)
    storage = open_storage(place.url)
    draft = draft_of(config, "cpu")
    open_study(storage, place, draft, draft.given_peak_lr)
    assert Run(place, storage).config == config


def test_delete_run_takes_what_it_wrote_and_leaves_what_is_not_its_own(
    launch: Launch, runs_dir: Path
) -> None:
    launch(trials=1, name="gone")
    launch(trials=1, name="kept")
    (runs_dir / "kept" / "notes.txt").write_text("mine")
    for name in ("gone", "kept"):
        delete_run(open_run(runs_dir / name))
    assert [p.relative_to(runs_dir).as_posix() for p in runs_dir.rglob("*")] == [
        "kept",
        "kept/notes.txt",
    ]
    assert len(launch(trials=2, name="gone").run.trials()) == 2, "the name is free again"


def test_a_renamed_run_goes_on_under_its_new_name(launch: Launch, runs_dir: Path) -> None:
    before = launch(trials=2, name="old").run.trials()
    (runs_dir / "old").rename(runs_dir / "new")
    after = launch(trials=3, name="new").run.trials()
    assert len(after) == 3
    assert list(after["schedule"][:2]) == list(before["schedule"])
    assert list(after["ended"][:2]) == list(before["ended"]), "they were not trained again"
    assert len(open_run(runs_dir / "new").trials()) == 3


def test_optuna_reads_each_finished_trial_once_and_still_the_present_state(
    launch: Launch, runs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch(name="grows", trials=3)
    run = open_run(runs_dir / "grows")
    read: list[int] = []
    real = RDBStorage._get_trials

    def count(self: RDBStorage, *args: Any, **kwargs: Any) -> list[FrozenTrial]:
        found: list[FrozenTrial] = real(self, *args, **kwargs)
        read.append(len(found))
        return found

    monkeypatch.setattr(RDBStorage, "_get_trials", count)
    for _ in range(2):
        assert len(run.trials()) == 3
        run.curves(), run.best, leaderboard_of(run), run.studies(), run.search_trials()
    assert sum(read) == 3
    launch(name="grows", trials=5)
    fresh = open_run(runs_dir / "grows")
    pd.testing.assert_frame_equal(run.trials(), fresh.trials())
    pd.testing.assert_frame_equal(run.curves(), fresh.curves())
    assert len(run.trials()) == 5
