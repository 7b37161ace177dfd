"""Curve: what one training recorded at its evaluations."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

_LOSS = "loss"
_PLAIN, _EMA = "val_", "ema_val_"


@dataclass(frozen=True)
class Evaluation:
    """One row of a curve.

    Args:
        step: number of optimizer steps done.
        lr: learning rate of the last of these steps: the highest of the parameter groups'.
        train_loss: mean training loss of the steps since the previous evaluation.
        val_loss: loss on the validation split.
        seconds: time spent on training so far, without that of the evaluations.
        metrics: the task's metrics on the validation split, by name.
        ema: the loss and the metrics of the averaged weights, where the recipe averages them.

    >>> row = Evaluation(10, 0.1, 0.5, 0.6, 1.0, {"accuracy": 0.9})
    >>> row.value("val_loss"), row.value("val_accuracy")
    (0.6, 0.9)
    """

    step: int
    lr: float
    train_loss: float
    val_loss: float
    seconds: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    ema: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def measured(
        cls,
        step: int,
        lr: float,
        train_loss: float,
        seconds: float,
        values: Mapping[str, float],
        ema: Mapping[str, float] | None = None,
    ) -> "Evaluation":
        """Return the row of what `evaluate` measured: "loss", and each metric by its name."""
        metrics = {name: value for name, value in values.items() if name != _LOSS}
        return cls(step, lr, train_loss, values[_LOSS], seconds, metrics, ema or {})

    @property
    def finite(self) -> bool:
        """Whether both losses are finite numbers."""
        return math.isfinite(self.train_loss) and math.isfinite(self.val_loss)

    def value(self, name: str) -> float:
        """Return a value by the name of its column, such as "val_accuracy"."""
        values = self.values
        if name not in values:
            raise KeyError(f"an evaluation has no {name!r}, only {', '.join(values)}")
        return values[name]

    @property
    def values(self) -> dict[str, float]:
        """What was measured on the validation split, by the names of the columns."""
        plain = {f"{_PLAIN}{name}": value for name, value in self.metrics.items()}
        averaged = {f"{_EMA}{name}": value for name, value in self.ema.items()}
        return {"val_loss": self.val_loss, **plain, **averaged}


@dataclass(frozen=True)
class Curve:
    """What one training recorded.

    Args:
        rows: the evaluations, in order of their steps.
        initial: what the untrained model gives on the validation split, by the names of columns.
        diverged: whether the training ended early because it came to nothing; see `divergence`.
        stopped: whether the caller ended the training early (a pruned trial).
    """

    rows: tuple[Evaluation, ...]
    initial: Mapping[str, float]
    diverged: bool = False
    stopped: bool = False

    @property
    def initial_loss(self) -> float:
        """The validation loss before the first step."""
        return self.initial["val_loss"]

    @property
    def final(self) -> Evaluation:
        """The last evaluation."""
        return self.rows[-1]

    def best(self, name: str, sign: float) -> float:
        """Return the best finite value of a column (NaN when none is finite).

        Args:
            name: the column.
            sign: 1.0 where lower is better, -1.0 where higher is.
        """
        values = (row.value(name) for row in self.rows)
        finite = [value for value in values if math.isfinite(value)]
        return min(finite, key=lambda value: sign * value, default=math.nan)

    def steps_to(self, name: str, target: float, sign: float) -> int | None:
        """Return the first evaluated step at which a column reached a target; None: it never did.

        Args:
            name: the column.
            target: the value to reach.
            sign: 1.0 where lower is better, -1.0 where higher is.
        """
        reached = (row.step for row in self.rows if sign * row.value(name) <= sign * target)
        return next(reached, None)

    def compared_by(self, name: str) -> "Curve":
        """Return the curve for a comparison of a column; without a number there, it has diverged.

        >>> row = Evaluation(10, 0.1, 0.5, 0.6, 1.0, {"f1": math.nan})
        >>> curve = Curve((row,), {"val_loss": 2.3})
        >>> curve.compared_by("val_loss").diverged, curve.compared_by("val_f1").diverged
        (False, True)
        """
        lost = not self.stopped and not math.isfinite(self.final.value(name))
        return replace(self, diverged=True) if lost and not self.diverged else self

    def columns(self) -> dict[str, list[Any]]:
        """Return the rows as columns: steps, rates, losses, seconds, and what else was measured."""
        names = ("step", "lr", "train_loss", "seconds")
        columns = {name: [getattr(row, name) for row in self.rows] for name in names}
        measured = self.rows[0].values if self.rows else {}
        return columns | {name: [row.value(name) for row in self.rows] for name in measured}

    @staticmethod
    def rows_of(columns: Mapping[str, Sequence[Any]]) -> tuple[Evaluation, ...]:
        """Return the rows that `columns` wrote as columns.

        >>> row = Evaluation(10, 0.1, 0.5, 0.6, 1.0, {"accuracy": 0.9}, {"loss": 0.7})
        >>> Curve.rows_of(Curve((row,), {}).columns()) == (row,)
        True
        """
        plain = [c for c in columns if c.startswith(_PLAIN)]
        averaged = [c for c in columns if c.startswith(_EMA)]
        return tuple(
            Evaluation.measured(
                columns["step"][i],
                columns["lr"][i],
                columns["train_loss"][i],
                columns["seconds"][i],
                {name.removeprefix(_PLAIN): columns[name][i] for name in plain},
                {name.removeprefix(_EMA): columns[name][i] for name in averaged},
            )
            for i in range(len(columns["step"]))
        )
