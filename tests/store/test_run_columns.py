"""The columns of a run's frames are documented in `help`, with their units and meanings."""

import pydoc
from collections.abc import Callable, Sequence

import pytest

from schedsearch import Run
from schedsearch.objective import LOSS, Objective
from schedsearch.store.columns import CURVES, RUNGS, TRIALS, Column, measured_columns


@pytest.mark.parametrize(
    ("method", "columns"),
    [(Run.trials, TRIALS), (Run.curves, CURVES), (Run.rungs, RUNGS), (Run.checks, TRIALS)],
)
def test_help_shows_each_column_with_its_unit_and_meaning(
    method: Callable[[Run], object], columns: Sequence[Column]
) -> None:
    shown = pydoc.plain(pydoc.render_doc(method))
    for column in columns:
        assert f"| {column.name} | {column.unit} | {column.meaning} |" in shown
    assert shown.count("\n    | ") == len(columns) + 1
    assert (method.__doc__ or "").startswith("Return one row per ")


@pytest.mark.parametrize("columns", [TRIALS, CURVES, RUNGS])
def test_every_column_means_something_and_every_number_has_a_unit(
    columns: Sequence[Column],
) -> None:
    assert len({column.name for column in columns}) == len(columns)
    for column in columns:
        assert column.meaning
        assert "|" not in column.unit + column.meaning
        measured = column.dtype != "string" and column.name != "trial"
        assert column.unit or not measured, column.name


def test_a_run_has_the_columns_that_its_task_measures() -> None:
    error = Objective("val_mae", "minimize", "validation mean absolute error")
    bare = {column.name for column in measured_columns(TRIALS, (LOSS,), has_target=False)}
    assert bare == {column.name for column in TRIALS} - {"steps_to_target"}
    measured = {c.name: c for c in measured_columns(TRIALS, (LOSS, error))}
    assert measured.keys() - bare == {"val_mae", "best_val_mae", "steps_to_target"}
    assert measured["best_val_mae"].meaning.startswith("lowest validation mean absolute error")
    assert [c.name for c in measured_columns(CURVES, (LOSS, error))][-3:] == [
        *("val_loss", "val_mae", "seconds")
    ]
