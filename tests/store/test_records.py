"""What is written beside Optuna's own values: exact, in small pieces, and easy on a dashboard."""

import json
import math
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from schedsearch import Curve, Schedule, Warmup
from schedsearch.compat import database_of, storage_of, trial_id_of
from schedsearch.launch import Outcome
from schedsearch.objective import OBJECTIVES, find_objective
from schedsearch.store.connect import open_storage, sqlite_url
from schedsearch.store.ranking import best_trial, comparable
from schedsearch.store.records import (
    PREFIX,
    read_columns,
    read_result,
    read_schedule,
    result_of,
    system_attrs,
)
from schedsearch.training.curve import Evaluation

LIMIT = 64_000  # MySQL's TEXT


def awkward_curve(rows: int, last: float = 0.5) -> Curve:
    """Make a curve of numbers that take as many digits as there can be."""
    draw = random.Random(0)

    def number() -> float:
        return -draw.uniform(1.0, 2.0) * 10.0 ** draw.randint(-308, -300)

    return Curve(
        tuple(
            Evaluation(
                1_000_000 + i, number(), number(), number() if i < rows - 1 else last, 0.1, number()
            )
            for i in range(rows)
        ),
        initial_loss=2.3,
    )


@pytest.fixture
def study(tmp_path: Path) -> optuna.Study:
    return optuna.create_study(storage=open_storage(sqlite_url(tmp_path / "study.db")))


def file_of(study: optuna.Study) -> Path:
    database = database_of(storage_of(study))
    assert database is not None
    return Path(str(database.engine.url.database))


def attributes(database: Path) -> list[tuple[str, str, str]]:
    """Return every attribute value in a SQLite file: table, key, text."""
    tables = [
        f"{owner}_{kind}_attributes" for owner in ("study", "trial") for kind in ("user", "system")
    ]
    with closing(sqlite3.connect(database)) as connection:
        return [
            (table, key, text)
            for table in tables
            for key, text in connection.execute(f"select key, value_json from {table}")
        ]


def store(study: optuna.Study, trial: optuna.Trial, curve: Curve) -> None:
    for key, value in system_attrs(curve, result_of(curve, 0.9)).items():
        storage_of(study).set_trial_system_attr(trial_id_of(trial), key, value)


@pytest.mark.parametrize("rows", [1, 299, 300, 301, 4000])
def test_curves_come_back_exactly_in_small_pieces(study: optuna.Study, rows: int) -> None:
    trial, curve = study.ask(), awkward_curve(rows)
    store(study, trial, curve)
    study.tell(trial, 0.5)
    study._storage.remove_session()
    again = optuna.load_study(study_name=study.study_name, storage=_reopened(study)).trials[0]
    assert Curve.rows_of(read_columns(again)) == curve.rows
    pieces = [text for _, key, text in attributes(file_of(study)) if ":curve:" in key]
    assert len(pieces) == math.ceil(rows / 300)
    assert max(len(text.encode()) for text in pieces) < LIMIT


def _reopened(study: optuna.Study) -> Any:
    return open_storage(sqlite_url(file_of(study)))


@pytest.mark.parametrize("last", [math.nan, math.inf, -math.inf])
def test_curves_that_end_in_no_number_come_back_too(study: optuna.Study, last: float) -> None:
    trial, curve = study.ask(), awkward_curve(3, last)
    store(study, trial, curve)
    study.tell(trial, state=TrialState.PRUNED)
    again = optuna.load_study(study_name=study.study_name, storage=_reopened(study)).trials[0]
    assert repr(Curve.rows_of(read_columns(again))) == repr(curve.rows)
    assert repr(read_result(again)["val_loss"]) == repr(last)


def test_a_result_sums_a_curve_up() -> None:
    losses, accuracies = (0.9, 0.4, 0.6), (0.5, 0.9, 0.8)
    rows = tuple(
        Evaluation(10 * (i + 1), 0.1, 1.0 - i / 10, losses[i], accuracies[i], i + 0.5)
        for i in range(3)
    )
    assert result_of(Curve(rows, 2.3), 0.85) == {
        "diverged": False,
        "val_loss": 0.6,
        "val_accuracy": 0.8,
        "best_val_loss": 0.4,
        "best_val_accuracy": 0.9,
        "train_loss": 0.8,
        "initial_loss": 2.3,
        "steps": 30,
        "steps_to_target": 20,
        "target_accuracy": 0.85,
        "seconds": 2.5,
    }
    assert result_of(Curve(rows, 2.3), 0.95)["steps_to_target"] is None


def test_a_trial_without_anything_reads_as_empty(study: optuna.Study) -> None:
    study.ask()
    (trial,) = study.trials
    assert read_schedule(trial) is None
    assert dict(read_result(trial)) == {}
    assert read_columns(trial) == {}


@pytest.mark.parametrize("sampler", ["TPE", "CMA-ES"])
def test_all_that_a_run_stores_fits_any_database_and_the_dashboard(
    launch: Callable[..., Outcome], runs_dir: Path, sampler: str
) -> None:
    args = {"n_startup_trials": 1}
    search = {"sampler": sampler, "sampler_args": args, "pruner": "HyperbandPruner"}
    training = {"total_steps": 60, "evals_per_run": 20}
    launch(trials=3, families="all", search=search, training=training)
    stored = attributes(runs_dir / "tiny" / "study.db")
    assert stored
    sizes = {(table, key): len(text.encode()) for table, key, text in stored}
    assert max(sizes.values()) < LIMIT, max(sizes, key=lambda k: sizes[k])
    for table, key, text in stored:
        if "_user_" in table:
            value = json.loads(text)
            assert isinstance(value, bool | int | float | str), f"{key} is a {type(value)}"
            assert len(text) < 200, "a column of the dashboard"


def test_what_the_dashboard_shows_is_what_the_frame_says(finished: Path) -> None:
    from schedsearch import open_run

    run = open_run(finished)
    study = optuna.load_study(study_name=run.name, storage=run.storage)
    frame = run.trials().set_index("trial")
    for trial in study.trials:
        row, attrs = frame.loc[trial.number], trial.user_attrs
        assert trial.value == row["val_loss"]
        assert attrs["val_accuracy"] == row["val_accuracy"]
        assert attrs["diverged"] is False
        assert attrs["seconds"] == row["seconds"]
        assert attrs["attempt"] == row["attempt"]
        schedule = Schedule.from_json(str(row["schedule"]))
        assert read_schedule(trial) == schedule
        for name, value in trial.params.items():
            family, dot, param = name.partition(".")
            if dot and param in schedule.params:
                assert family == schedule.family
                assert schedule.params[param] == value
        assert trial.params["peak_lr"] == schedule.peak_lr
        assert trial.params["family"] == schedule.family


def test_sqlite_is_in_wal_mode(finished: Path) -> None:
    with closing(sqlite3.connect(finished / "study.db")) as database:
        assert database.execute("pragma journal_mode").fetchone() == ("wal",)


# --- which trial is best ---------------------------------------------------------------------


def trial_of(state: TrialState, **result: Any) -> optuna.trial.FrozenTrial:
    value = 1.0 if state == TrialState.COMPLETE else None
    return create_trial(state=state, value=value, system_attrs={f"{PREFIX}result": result})


DONE, PRUNED, RUNNING = TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING


def test_the_best_trial_is_the_first_of_the_best_that_ran_to_their_end() -> None:
    trials = [
        trial_of(PRUNED, diverged=False, val_loss=0.1, val_accuracy=1.0),
        trial_of(DONE, diverged=True, val_loss=0.1, val_accuracy=1.0),
        trial_of(RUNNING),
        trial_of(DONE, diverged=False, val_loss=0.4, val_accuracy=0.8),
        trial_of(DONE, diverged=False, val_loss=0.2, val_accuracy=0.7),
        trial_of(DONE, diverged=False, val_loss=0.2, val_accuracy=0.8),
        create_trial(state=DONE, value=0.0),  # of somebody who shares the database
    ]
    assert [comparable(trial) for trial in trials] == [False] * 3 + [True] * 3 + [False]
    assert best_trial(trials, find_objective("val_loss")) is trials[4]
    assert best_trial(trials, find_objective("val_accuracy")) is trials[3]
    assert best_trial(trials[:3], find_objective("val_loss")) is None
    assert best_trial([], find_objective("val_loss")) is None


def test_better_is_lower_for_a_loss_and_higher_for_an_accuracy() -> None:
    loss, accuracy = find_objective("val_loss"), find_objective("val_accuracy")
    assert loss.better(1.0, than=2.0)
    assert not loss.better(2.0, than=1.0)
    assert accuracy.better(2.0, than=1.0)
    assert not accuracy.better(1.0, than=2.0)
    for objective in OBJECTIVES:
        assert not objective.better(1.0, than=1.0)
        assert not objective.better(objective.worst, than=1.0)


def test_schedules_of_every_shape_are_stored_exactly(study: optuna.Study) -> None:
    schedule = Schedule("MultiStepLR", 0.1 + 0.2, {"milestones": (1 / 3, 2 / 3)}, Warmup(1 / 30))
    trial = create_trial(
        state=TrialState.RUNNING, system_attrs={f"{PREFIX}schedule": schedule.to_dict()}
    )
    study.add_trial(trial)
    again = optuna.load_study(study_name=study.study_name, storage=_reopened(study)).trials[0]
    assert read_schedule(again) == schedule
