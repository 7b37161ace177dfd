"""What a curve says of itself."""

import math

import pytest

from schedsearch.training.curve import Curve, Evaluation


def row(step: int, loss: float, accuracy: float, train_loss: float = 1.0) -> Evaluation:
    return Evaluation(step, 0.1, train_loss, loss, 0.05 * step, {"accuracy": accuracy})


def curve(losses: list[float], accuracies: list[float]) -> Curve:
    pairs = enumerate(zip(losses, accuracies, strict=True), start=1)
    return Curve(tuple(row(10 * i, x, a) for i, (x, a) in pairs), {"val_loss": 2.3})


RISING = curve([1.0, 0.4, 0.6], [0.5, 0.9, 0.8])


def test_best_and_final() -> None:
    assert RISING.best("val_loss", 1.0) == 0.4
    assert RISING.best("val_accuracy", -1.0) == 0.9
    assert RISING.final.step == 30
    assert RISING.initial_loss == 2.3


@pytest.mark.parametrize(("accuracy", "step"), [(0.5, 10), (0.6, 20), (0.85, 20), (0.95, None)])
def test_steps_to_a_value_that_rises(accuracy: float, step: int | None) -> None:
    assert RISING.steps_to("val_accuracy", accuracy, -1.0) == step


@pytest.mark.parametrize(("loss", "step"), [(1.0, 10), (0.5, 20), (0.4, 20), (0.3, None)])
def test_steps_to_a_value_that_falls(loss: float, step: int | None) -> None:
    assert RISING.steps_to("val_loss", loss, 1.0) == step


def test_best_skips_what_is_not_finite() -> None:
    assert curve([1.0, math.nan], [0.5, 0.1]).best("val_loss", 1.0) == 1.0
    assert math.isnan(curve([math.inf, math.nan], [0.1, 0.1]).best("val_loss", 1.0))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_finite(bad: float) -> None:
    assert RISING.final.finite
    assert not row(1, 1.0, 0.5, train_loss=bad).finite
    assert not row(1, bad, 0.5).finite


def test_what_was_not_measured_is_an_error() -> None:
    with pytest.raises(KeyError, match="no 'val_f1', only val_loss, val_accuracy"):
        RISING.final.value("val_f1")


def test_columns_and_back() -> None:
    columns = RISING.columns()
    assert list(columns) == ["step", "lr", "train_loss", "seconds", "val_loss", "val_accuracy"]
    assert columns["val_loss"] == [1.0, 0.4, 0.6]
    assert Curve.rows_of(columns) == RISING.rows
