"""Curve: what one training recorded at its evaluations; and when a training has diverged."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

COLUMNS = ("step", "lr", "train_loss", "val_loss", "val_accuracy", "seconds")
DIVERGE_FACTOR = 3.0  # a validation loss above this many times the untrained model's has diverged


@dataclass(frozen=True)
class Evaluation:
    """One row of a curve.

    Args:
        step: number of optimizer steps done.
        lr: learning rate of the last of these steps.
        train_loss: mean training loss of the steps since the previous evaluation.
        val_loss: mean loss on the validation split.
        val_accuracy: accuracy on the validation split, in [0, 1].
        seconds: time spent on training so far, without that of the evaluations.
    """

    step: int
    lr: float
    train_loss: float
    val_loss: float
    val_accuracy: float
    seconds: float

    @property
    def finite(self) -> bool:
        """Whether both losses are finite numbers."""
        return math.isfinite(self.train_loss) and math.isfinite(self.val_loss)

    def diverged(self, initial_loss: float, factor: float) -> bool:
        """Return whether the training has diverged, so that it ends here.

        Args:
            initial_loss: validation loss of the untrained model.
            factor: how many times that loss a validation loss may be.

        >>> row = Evaluation(10, 0.1, 2.0, 6.5, 0.1, 0.0)
        >>> row.diverged(initial_loss=2.0, factor=3.0), row.diverged(2.2, factor=3.0)
        (True, False)
        """
        return not self.finite or self.val_loss > factor * initial_loss


@dataclass(frozen=True)
class Curve:
    """What one training recorded.

    Args:
        rows: the evaluations, in order of their steps.
        initial_loss: validation loss before the first step.
        diverged: whether the training ended early because a loss was not finite, or far above the
            initial loss.
        stopped: whether the caller ended the training early (a pruned trial).
    """

    rows: tuple[Evaluation, ...]
    initial_loss: float
    diverged: bool = False
    stopped: bool = False

    @property
    def final(self) -> Evaluation:
        """The last evaluation."""
        return self.rows[-1]

    @property
    def best_val_loss(self) -> float:
        """The lowest finite validation loss (NaN when none is finite)."""
        return min((r.val_loss for r in self.rows if math.isfinite(r.val_loss)), default=math.nan)

    @property
    def best_val_accuracy(self) -> float:
        """The highest validation accuracy."""
        return max(r.val_accuracy for r in self.rows)

    def steps_to(self, accuracy: float) -> int | None:
        """Return the first evaluated step that reached a validation accuracy; None if none did."""
        return next((r.step for r in self.rows if r.val_accuracy >= accuracy), None)

    def columns(self) -> dict[str, list[Any]]:
        """Return the rows as columns, in the order of COLUMNS."""
        return {name: [getattr(row, name) for row in self.rows] for name in COLUMNS}

    @staticmethod
    def rows_of(columns: Mapping[str, Sequence[Any]]) -> tuple[Evaluation, ...]:
        """Return the rows that `columns` wrote as columns.

        >>> from dataclasses import asdict
        >>> row = Evaluation(10, 0.1, 0.5, 0.6, 0.9, 1.0)
        >>> Curve.rows_of({name: [value] for name, value in asdict(row).items()}) == (row,)
        True
        """
        return tuple(
            Evaluation(*values) for values in zip(*(columns[c] for c in COLUMNS), strict=True)
        )
