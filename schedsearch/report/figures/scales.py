"""Scales of axes: logarithmic where that shows more."""

import math
from collections.abc import Callable, Iterable

from schedsearch.objective import Objective
from schedsearch.report.figures.chart import Axis

_WORTH_A_LOG = 5.0  # the largest value over the smallest
_ACCURACIES = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999)


def _spread(values: Iterable[float]) -> float:
    """Return the largest finite value over the smallest; 0 if not all are above zero."""
    finite = [v for v in values if math.isfinite(v)]
    return max(finite) / min(finite) if finite and min(finite) > 0 else 0.0


def loss_axis(values: Iterable[float], label: str = "validation loss") -> Axis:
    """Return an axis for losses.

    >>> loss_axis([0.1, 2.0]).log, loss_axis([0.1, 0.2]).log, loss_axis([0.0, 2.0]).log
    (True, False, False)
    """
    return Axis(label, log=_spread(values) > _WORTH_A_LOG)


def accuracy_axis(
    values: Iterable[float], label: str = "validation accuracy"
) -> tuple[Axis, Callable[[float], float]]:
    """Return an axis for accuracies, and the function that maps an accuracy onto it.

    If errors differ by factors, 98 % is as far from 99 % as 96 % from 98 %.

    >>> axis, scaled = accuracy_axis([0.1, 0.99])
    >>> axis.log, axis.reverse, scaled(0.75), axis.ticks[1]
    (True, True, 0.25, (0.5, '50%'))
    >>> axis, scaled = accuracy_axis([0.1, 1.0])
    >>> axis.log, scaled(0.75)
    (False, 0.75)
    """
    known = list(values)
    if _spread(1 - v for v in known) > _WORTH_A_LOG:
        ticks = tuple((1 - v, f"{v:.1%}".replace(".0%", "%")) for v in _ACCURACIES)
        return Axis(label, log=True, reverse=True, ticks=ticks), lambda value: 1 - value
    return Axis(label, percent=True), lambda value: value


def objective_axis(objective: Objective, values: Iterable[float], label: str) -> Axis:
    """Return an axis for the value that ranks: a loss, or an accuracy in percent."""
    return loss_axis(values, label) if objective.minimizes else Axis(label, percent=True)
