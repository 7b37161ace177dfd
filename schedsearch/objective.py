"""Objective: what is compared, and in which direction it is better."""

import math
from collections.abc import Container, Iterable, Mapping, Sequence
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

    >>> LOSS.better(0.1, than=0.2), LOSS.sign, LOSS.worst
    (True, 1.0, inf)
    """

    name: str
    direction: Direction
    words: str

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

    def to_list(self) -> list[str]:
        """Return the objective as values that JSON can hold."""
        return [self.name, self.direction, self.words]

    def of(self, result: Mapping[str, Any]) -> float:
        """Return the value in a stored result."""
        return float(result[self.name])


LOSS = Objective("val_loss", "minimize", "validation loss")
ACCURACY = Objective("val_accuracy", "maximize", "validation accuracy")
OBJECTIVES = (LOSS, ACCURACY)
"""What a training of a classification can be compared by."""


def objectives_of(
    metrics: Iterable[tuple[str, Direction, str]], *, averaged: bool = False
) -> tuple[Objective, ...]:
    """Return all that an evaluation can be compared by: the validation loss, and each metric.

    Args:
        metrics: name, direction and words of each metric of the task.
        averaged: whether the averaged weights are evaluated too.

    >>> [each.name for each in objectives_of([("r2", "maximize", "R²")], averaged=True)]
    ['val_loss', 'val_r2', 'ema_val_loss', 'ema_val_r2']
    """
    plain = (
        LOSS,
        *(Objective(f"val_{name}", way, f"validation {words}") for name, way, words in metrics),
    )
    ema = (
        Objective(f"ema_{each.name}", each.direction, f"{each.words} of the averaged weights")
        for each in plain
    )
    return (*plain, *ema) if averaged else plain


def find_objective(name: str, among: Sequence[Objective] = OBJECTIVES) -> Objective:
    """Return the objective of a name, among those that a task has.

    Raises:
        ConfigError: no such objective; the nearest is named.
    """
    return find_named("objective", name, among)


def objective_in(columns: Container[str]) -> Objective:
    """Return the objective among the columns of a table that holds one."""
    return next(each for each in OBJECTIVES if each.name in columns)
