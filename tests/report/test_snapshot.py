"""Snapshot: rows of the frame of trials, typed; and what figures read of a run."""

import pandas as pd
from made_runs import confirmed_run, made_run, made_trial, many

from schedsearch import Schedule
from schedsearch.objective import OBJECTIVES
from schedsearch.report.snapshot import TrialRow, rows_of
from schedsearch.store.columns import TRIALS, dtypes_of


def test_a_row_has_the_columns_of_the_frame() -> None:
    columns = [*dtypes_of(TRIALS)]
    measured = columns.index("val_loss")
    columns[measured : measured + 2] = ["measured"]
    assert list(TrialRow._fields) == columns


def test_rows_are_those_of_the_frame() -> None:
    trials = made_run(many(12)).trials
    rows = rows_of(trials)
    assert [(row.study, row.trial, row.family) for row in rows] == list(
        zip(trials["study"], trials["trial"], trials["family"], strict=True)
    )
    for objective in OBJECTIVES:
        assert [row.measured[objective.name] for row in rows if row.state == "finished"] == list(
            trials.loc[trials["state"] == "finished", objective.name]
        )
    assert set(rows[0].measured) == {"val_loss", "val_accuracy"}
    assert rows_of(trials.iloc[:0]) == []


def test_a_finalist_has_one_training_per_fresh_seed() -> None:
    run = confirmed_run()
    assert run.confirmed is not None
    for each in run.confirmed.finalists:
        trainings = run.trainings_of(each)
        assert len(trainings) == len(run.confirmed.basis.seeds)
        assert [t.diverged for t in trainings] == [r["diverged"] for r in each.results]
        for training, result in zip(trainings, each.results, strict=True):
            assert training.curve["step"].iloc[-1] == result["steps"]


def test_rows_of_a_task_without_a_target_have_no_steps_to_it() -> None:
    rows = rows_of(made_run(many(3)).trials.drop(columns="steps_to_target"))
    assert [row.steps_to_target for row in rows] == [None] * 3


def test_a_run_without_results_has_no_winner() -> None:
    run = made_run([])
    assert run.winner() is None
    assert run.range_test() is None
    assert run.test_of(Schedule("StepLR", 0.1)) == {}
    assert isinstance(run.finalists(), pd.DataFrame)
    assert made_run([made_trial(0, "StepLR")]).winner() is not None
