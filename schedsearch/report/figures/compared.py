"""The columns by which a figure's table says what its values are, and which are better."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schedsearch.objective import Objective

if TYPE_CHECKING:
    import pandas as pd

OBJECTIVE_COLUMNS = ("name", "direction", "what", "share")


def with_objective(table: pd.DataFrame, objective: Objective) -> pd.DataFrame:
    """Return a table with OBJECTIVE_COLUMNS, which say of what its values are.

    Args:
        table: the table of a figure.
        objective: its name, direction, words, and whether it is a fraction from 0 to 1.

    >>> import pandas as pd
    >>> from schedsearch.objective import ACCURACY
    >>> objective_of(with_objective(pd.DataFrame({"value": [0.9]}), ACCURACY)) == ACCURACY
    True
    """
    return table.assign(
        name=objective.name,
        direction=objective.direction,
        what=objective.words,
        share=objective.share,
    )


def objective_of(table: pd.DataFrame) -> Objective:
    """Return the objective of a table that has rows."""
    first = table.iloc[0]
    return Objective(first["name"], first["direction"], first["what"], bool(first["share"]))
