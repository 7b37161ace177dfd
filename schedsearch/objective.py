"""Objective: what is compared, and in which direction it is better."""

import math
from collections.abc import Container, Mapping
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

    >>> loss = find_objective("val_loss")
    >>> loss.better(0.1, than=0.2), loss.sign, loss.worst
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

    def of(self, result: Mapping[str, Any]) -> float:
        """Return the value in a stored result."""
        return float(result[self.name])


OBJECTIVES: tuple[Objective, ...] = (
    Objective("val_loss", "minimize", "validation loss"),
    Objective("val_accuracy", "maximize", "validation accuracy"),
)


def objective_in(columns: Container[str]) -> Objective:
    """Return the objective among the columns of a table that holds one.

    >>> objective_in(["family", "val_accuracy"]).words
    'validation accuracy'
    """
    return next(each for each in OBJECTIVES if each.name in columns)


def find_objective(name: str) -> Objective:
    """Return the objective of a name.

    Raises:
        ConfigError: no such objective.
    """
    return find_named("objective", name, OBJECTIVES)
