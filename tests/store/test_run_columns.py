"""The columns of a run's frames are documented in `help`, with their units and meanings."""

import pydoc
from collections.abc import Callable, Sequence

import pytest

from schedsearch import Run
from schedsearch.store.columns import CURVES, RUNGS, TRIALS, Column, dtypes_of
from schedsearch.store.frames import CURVE_COLUMNS, RUNG_COLUMNS, TRIAL_COLUMNS


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


def test_casts_use_the_same_columns() -> None:
    assert dtypes_of(TRIALS) == TRIAL_COLUMNS
    assert dtypes_of(CURVES) == CURVE_COLUMNS
    assert dtypes_of(RUNGS) == RUNG_COLUMNS
    assert (TRIAL_COLUMNS["steps"], CURVE_COLUMNS["step"]) == ("Int64", "int64")
