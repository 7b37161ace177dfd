"""Scales of axes: logarithmic where that shows more."""

import math
from collections.abc import Callable, Iterable

from schedsearch.objective import Objective
from schedsearch.report.figures.chart import Axis

_WORTH_A_LOG = 5.0  # the largest value over the smallest
_SHARES = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999)


def _spread(values: Iterable[float]) -> float:
    """Return the largest finite value over the smallest; 0 if not all are above zero."""
    finite = [v for v in values if math.isfinite(v)]
    return max(finite) / min(finite) if finite and min(finite) > 0 else 0.0


def loss_axis(values: Iterable[float], label: str = "validation loss") -> Axis:
    """Return an axis for losses, and for other values that are better when they are lower.

    >>> loss_axis([0.1, 2.0]).log, loss_axis([0.1, 0.2]).log, loss_axis([-3.0, 2.0]).log
    (True, False, False)
    """
    return Axis(label, log=_spread(values) > _WORTH_A_LOG)


def share_axis(values: Iterable[float], label: str) -> tuple[Axis, Callable[[float], float]]:
    """Return an axis for fractions from 0 to 1 such as accuracies, and what maps one onto it.

    If the errors that are left differ by factors, 98 % is as far from 99 % as 96 % from 98 %.

    >>> axis, scaled = share_axis([0.1, 0.99], "validation accuracy")
    >>> axis.log, axis.reverse, scaled(0.75), axis.ticks[1]
    (True, True, 0.25, (0.5, '50%'))
    >>> axis, scaled = share_axis([0.1, 1.0], "validation accuracy")
    >>> axis.log, scaled(0.75)
    (False, 0.75)
    """
    known = [value for value in values if math.isfinite(value)]
    if _spread(1 - v for v in known) > _WORTH_A_LOG:
        ticks = tuple((1 - v, f"{v:.1%}".replace(".0%", "%")) for v in _SHARES)
        return Axis(label, log=True, reverse=True, ticks=ticks), lambda value: 1 - value
    return Axis(label, percent=True), lambda value: value


def curve_axis(
    objective: Objective, values: Iterable[float], label: str
) -> tuple[Axis, Callable[[float], float]]:
    """Return an axis for the course of a value, and what maps a value onto it.

    >>> from schedsearch.objective import LOSS
    >>> curve_axis(Objective("val_r2", "maximize", "R²"), [0.01, 0.99], "R²")[0]
    Axis(label='R²', log=False, percent=False, ticks=(), reverse=False, from_zero=False, span=None)
    >>> curve_axis(LOSS, [0.1, 2.0], "loss")[0].log
    True
    """
    if objective.share and not objective.minimizes:
        return share_axis(values, label)
    return objective_axis(objective, values, label), lambda value: value


def objective_axis(objective: Objective, values: Iterable[float], label: str) -> Axis:
    """Return an axis for values: fractions in percent, what is to fall like a loss."""
    if objective.share:
        return Axis(label, percent=True)
    return loss_axis(values, label) if objective.minimizes else Axis(label)
