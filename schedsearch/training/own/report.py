"""Report: what a trainer of the user's own calls at each evaluation."""

from collections.abc import Callable
from typing import Any, SupportsFloat, SupportsIndex

OWN_COLUMNS = ("step", "val_loss", "train_loss", "lr", "seconds")
"""What an evaluation may hold beside the metrics that a study declares."""


class StopTraining(Exception):
    """Ends a training that goes on although `report` has returned True."""


class Report:
    """Takes the evaluations of one training; a trainer gets it as its last argument.

    Args:
        tell: is told of each evaluation; returns True when the training should end.

    >>> told = []
    >>> report = Report(lambda values: told.append(values) or values["step"] == 20)
    >>> report(step=10, val_loss=0.5, accuracy=0.8), report(step=20, val_loss=0.4, accuracy=0.9)
    (False, True)
    >>> told[0]
    {'step': 10, 'val_loss': 0.5, 'accuracy': 0.8}
    """

    def __init__(self, tell: Callable[[dict[str, Any]], bool]) -> None:
        self._tell, self._over = tell, False

    def __call__(
        self, *, step: SupportsIndex, val_loss: SupportsFloat, **others: SupportsFloat
    ) -> bool:
        """Report an evaluation, and return whether the training should end now.

        Args:
            step: optimizer steps done.
            val_loss: loss on the validation data.
            others: `train_loss`, `lr`, `seconds` of training so far, and the metrics that the
                study declares. Whatever `float` takes, such as a tensor of one number.

        Raises:
            TypeError: a value that is no number.
            StopTraining: the call before this one has returned True.
        """
        if self._over:
            raise StopTraining
        values = {"val_loss": val_loss} | others
        self._over = self._tell(
            {"step": step.__index__()} | {k: float(v) for k, v in values.items()}
        )
        return self._over
