"""The leaderboard of a frame that was made by hand."""

from typing import Any

import pandas as pd
import pytest

from schedsearch.objective import OBJECTIVES, find_objective
from schedsearch.report.leaderboard import LEADERBOARD_COLUMNS, leaderboard
from schedsearch.store.columns import TRIALS as COLUMNS
from schedsearch.store.columns import dtypes_of, measured_columns

DTYPES = dtypes_of(measured_columns(COLUMNS, OBJECTIVES))
BOARD = list(LEADERBOARD_COLUMNS)
BOARD[2:3] = ["val_loss", "val_accuracy"]


def frame(*rows: dict[str, Any]) -> pd.DataFrame:
    numbered = [{"trial": i, "study": "s"} | row for i, row in enumerate(rows)]
    return pd.DataFrame(numbered, columns=list(DTYPES)).astype(DTYPES)


def row(family: str | None, state: str, loss: float | None = None, **more: Any) -> dict[str, Any]:
    return {"family": family, "state": state, "val_loss": loss} | more


LOSS = find_objective("val_loss")
TRIALS = frame(
    row("StepLR", "finished", 0.5, val_accuracy=0.9, peak_lr=0.1, steps_to_target=40),
    row("StepLR", "finished", 0.3, val_accuracy=0.8, peak_lr=0.2, warmup_frac=0.05),
    row("StepLR", "diverged", 0.1, val_accuracy=0.99),  # its value must not count
    row("Constant", "finished", 0.4, val_accuracy=0.85, peak_lr=0.3),
    row("Constant", "finished", 0.4, val_accuracy=0.85, peak_lr=0.4),  # equal: the earlier counts
    row("Constant", "pruned", 0.2, val_accuracy=0.95),
    row("LinearLR", "diverged", float("nan")),
    row("LinearLR", "pruned", 0.1),
    row("SWALR", "running"),
    row(None, "waiting"),
)


def test_families_are_ranked_by_the_best_of_their_finished_trials() -> None:
    board = leaderboard(TRIALS, find_objective("val_loss"))
    assert list(board.columns) == BOARD
    assert list(board["family"])[:2] == ["StepLR", "Constant"]
    assert set(board["family"][2:]) == {"LinearLR", "SWALR"}, "without values they stand last"
    assert list(board["trial"][:2]) == [1, 3]
    assert list(board["val_loss"][:2]) == [0.3, 0.4]
    assert list(board["peak_lr"][:2]) == [0.2, 0.3]
    assert board["warmup_frac"][0] == 0.05
    assert pd.isna(board["steps_to_target"][0])
    assert board["val_loss"][2:].isna().all()
    assert board["trial"][2:].isna().all()
    counts = board.set_index("family")[["finished", "diverged", "pruned"]]
    assert list(counts.loc["StepLR"]) == [2, 1, 0]
    assert list(counts.loc["Constant"]) == [2, 0, 1]
    assert list(counts.loc["LinearLR"]) == [0, 1, 1]
    assert list(counts.loc["SWALR"]) == [0, 0, 0]


def test_an_accuracy_ranks_downwards() -> None:
    board = leaderboard(TRIALS, find_objective("val_accuracy"))
    assert list(board["family"])[:2] == ["StepLR", "Constant"]
    assert list(board["trial"][:2]) == [0, 3]
    assert list(board["val_accuracy"][:2]) == [0.9, 0.85]
    assert board["steps_to_target"][0] == 40
    assert list(board.columns)[2:4] == ["val_accuracy", "val_loss"], "what ranks stands in front"


def test_what_a_task_does_not_have_has_no_column() -> None:
    measured = ["val_accuracy", "best_val_accuracy", "steps_to_target"]
    board = leaderboard(TRIALS.drop(columns=measured), LOSS)
    assert list(board.columns) == [n for n in LEADERBOARD_COLUMNS if n != "steps_to_target"]


@pytest.mark.parametrize("objective", ["val_loss", "val_accuracy"])
def test_the_order_of_the_trials_does_not_matter(objective: Any) -> None:
    shuffled = TRIALS.sample(frac=1.0, random_state=0)
    ranked, again = (leaderboard(each, find_objective(objective)) for each in (TRIALS, shuffled))
    pd.testing.assert_frame_equal(ranked, again)


def test_no_trials_and_none_that_finished_make_a_table_too() -> None:
    assert list(leaderboard(frame(), LOSS).columns) == BOARD
    board = leaderboard(
        frame(row("StepLR", "diverged"), row("LinearLR", "running")), find_objective("val_loss")
    )
    assert sorted(board["family"]) == ["LinearLR", "StepLR"]
    assert list(board["finished"]) == [0, 0]
