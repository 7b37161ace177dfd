"""What a curve says of itself."""

import math

import pytest

from schedsearch.training.curve import COLUMNS, Curve, Evaluation


def curve(losses: list[float], accuracies: list[float]) -> Curve:
    pairs = enumerate(zip(losses, accuracies, strict=True), start=1)
    return Curve(tuple(Evaluation(10 * i, 0.1, 1.0, x, a, 0.5 * i) for i, (x, a) in pairs), 2.3)


RISING = curve([1.0, 0.4, 0.6], [0.5, 0.9, 0.8])


def test_best_and_final() -> None:
    assert (RISING.best_val_loss, RISING.best_val_accuracy) == (0.4, 0.9)
    assert RISING.final.step == 30


@pytest.mark.parametrize(("accuracy", "step"), [(0.5, 10), (0.6, 20), (0.85, 20), (0.95, None)])
def test_steps_to(accuracy: float, step: int | None) -> None:
    assert RISING.steps_to(accuracy) == step


def test_best_skips_what_is_not_finite() -> None:
    assert curve([1.0, math.nan], [0.5, 0.1]).best_val_loss == 1.0
    assert math.isnan(curve([math.inf, math.nan], [0.1, 0.1]).best_val_loss)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_finite(bad: float) -> None:
    assert RISING.final.finite
    assert not Evaluation(1, 0.1, bad, 1.0, 0.5, 0.0).finite
    assert not Evaluation(1, 0.1, 1.0, bad, 0.5, 0.0).finite


def test_columns_and_back() -> None:
    columns = RISING.columns()
    assert tuple(columns) == COLUMNS
    assert columns["val_loss"] == [1.0, 0.4, 0.6]
    assert Curve.rows_of(columns) == RISING.rows
