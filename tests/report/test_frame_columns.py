"""The columns of frames are documented where a user looks: in a table in the docstring."""

import inspect
import re
from collections.abc import Callable, Iterable

import pytest

from schedsearch.confirmation.columns import CONFIRMATION
from schedsearch.confirmation.read import confirmation_frame
from schedsearch.fidelity.agreement import FIDELITY_COLUMNS
from schedsearch.fidelity.read import fidelity_of
from schedsearch.report.best_so_far import BEST_COLUMNS
from schedsearch.report.convergence import LOSS_COLUMNS, TARGET_COLUMNS, convergence_of
from schedsearch.report.leaderboard import LEADERBOARD_COLUMNS, leaderboard_of
from schedsearch.store.columns import dtypes_of


def documented(function: Callable[..., object]) -> list[list[tuple[str, str, str]]]:
    """Return the tables of a docstring: for each row its column, unit and meaning."""
    tables: list[list[tuple[str, str, str]]] = []
    for line in (inspect.getdoc(function) or "").splitlines():
        found = re.fullmatch(r"\s*\| (.+?) \| (.*?) ?\| (.+?) \|", line)
        if found and found[1] == "column":
            tables.append([])
        elif found:
            tables[-1].append((found[1], found[2], found[3]))
    return tables


@pytest.mark.parametrize(
    ("function", "frames"),
    [
        (leaderboard_of, [LEADERBOARD_COLUMNS]),
        (convergence_of, [TARGET_COLUMNS, LOSS_COLUMNS, BEST_COLUMNS]),
        (fidelity_of, [FIDELITY_COLUMNS]),
        (confirmation_frame, [dtypes_of(CONFIRMATION)]),
    ],
)
def test_every_column_has_its_row_in_order(
    function: Callable[..., object], frames: list[Iterable[str]]
) -> None:
    tables = documented(function)
    assert [[name for name, _, _ in table] for table in tables] == list(map(list, frames))
    for table in tables:
        assert all(meaning for _, _, meaning in table)
        assert any(unit for _, unit, _ in table)
