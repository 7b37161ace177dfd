"""Evaluations and curves of a classification, made up; and the columns of its frames."""

from collections.abc import Sequence
from typing import Any

from schedsearch import Curve, Evaluation
from schedsearch.objective import OBJECTIVES
from schedsearch.store.columns import CURVES, RUNGS, TRIALS, dtypes_of, measured_columns

INITIAL = {"val_loss": 2.3, "val_accuracy": 0.1}
TRIAL_COLUMNS, CURVE_COLUMNS, RUNG_COLUMNS = (
    dtypes_of(measured_columns(columns, OBJECTIVES)) for columns in (TRIALS, CURVES, RUNGS)
)


def row(
    step: int, lr: float, train_loss: float, loss: float, accuracy: float, seconds: float
) -> Evaluation:
    return Evaluation(step, lr, train_loss, loss, seconds, {"accuracy": accuracy})


def curve_of(rows: Sequence[Evaluation], **how: Any) -> Curve:
    return Curve(tuple(rows), INITIAL, **how)
