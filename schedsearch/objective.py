"""Objective: what is compared, and in which direction it is better."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from schedsearch.named import find_named

Direction = Literal["minimize", "maximize"]


@dataclass(frozen=True)
class Objective:
    """A value of an evaluation by which schedules are compared.

    Args:
        name: the column that holds it, such as "val_loss".
        direction: whether a lower or a higher value is better.
        words: its name in a sentence.
        share: whether it is a fraction from 0 to 1, such as an accuracy, which is shown in percent.

    >>> LOSS.better(0.1, than=0.2), LOSS.sign, LOSS.worst
    (True, 1.0, inf)
    >>> LOSS.text(0.123456), ACCURACY.text(0.123456)
    ('0.1235', '12.35%')
    """

    name: str
    direction: Direction
    words: str
    share: bool = False

    @property
    def minimizes(self) -> bool:
        """Whether a lower value is better."""
        return self.direction == "minimize"

    @property
    def sign(self) -> float:
        """What a value is multiplied by, so that lower is better."""
        return 1.0 if self.minimizes else -1.0

    @property
    def worst(self) -> float:
        """The value that none is worse than."""
        return self.sign * math.inf

    def better(self, value: float, than: float) -> bool:
        """Return whether a value is better than another."""
        return self.sign * value < self.sign * than

    @property
    def averaged(self) -> bool:
        """Whether it is measured with the averaged weights."""
        return self.name.startswith(_EMA)

    @property
    def metric(self) -> str:
        """The bare name of what is measured: "loss", "accuracy"."""
        return self.name.removeprefix(_EMA).removeprefix(_PLAIN)

    @property
    def measure(self) -> str:
        """What is measured, in words: "loss", "accuracy"; the split is left out."""
        return self.words.removeprefix(_SPLIT)

    def text(self, value: float) -> str:
        """Return a value as a person reads it."""
        return f"{value:.2%}" if self.share else f"{value:.4g}"

    def to_list(self) -> list[str | bool]:
        """Return the objective as values that JSON can hold."""
        return [self.name, self.direction, self.words, self.share]

    def of(self, result: Mapping[str, Any]) -> float:
        """Return the value in a stored result."""
        return float(result[self.name])


_PLAIN, _EMA, _SPLIT = "val_", "ema_", "validation "
LOSS = Objective("val_loss", "minimize", "validation loss")
ACCURACY = Objective("val_accuracy", "maximize", "validation accuracy", share=True)
OBJECTIVES = (LOSS, ACCURACY)
"""What a training of a classification can be compared by."""


def objectives_of(
    metrics: Iterable[tuple[str, Direction, str, bool]], *, averaged: bool = False
) -> tuple[Objective, ...]:
    """Return all that an evaluation can be compared by: the validation loss, and each metric.

    Args:
        metrics: of each metric of the task its name, its direction, its words, and whether it is a
            fraction from 0 to 1.
        averaged: whether the averaged weights are evaluated too.

    >>> [each.name for each in objectives_of([("r2", "maximize", "R²", False)], averaged=True)]
    ['val_loss', 'val_r2', 'ema_val_loss', 'ema_val_r2']
    """
    plain = (
        LOSS,
        *(
            Objective(f"{_PLAIN}{name}", way, f"{_SPLIT}{words}", share)
            for name, way, words, share in metrics
        ),
    )
    ema = (
        Objective(
            f"{_EMA}{each.name}",
            each.direction,
            f"{each.words} of the averaged weights",
            each.share,
        )
        for each in plain
    )
    return (*plain, *ema) if averaged else plain


def find_objective(
    name: str, among: Sequence[Objective] = OBJECTIVES, *, key: str = "objective"
) -> Objective:
    """Return the objective of a name, among those that a task has.

    Args:
        name: the name.
        among: what the task has.
        key: what the name stands for, in the message: a key of the study file.

    Raises:
        ConfigError: no such objective; the nearest is named.
    """
    return find_named(key, name, among)
