"""Columns of the frames that are read from a run: their types, units and meanings."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from schedsearch.objective import Objective

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Column:
    """A column of a frame.

    Args:
        name: its name.
        dtype: its pandas dtype; a value that a trial does not have (yet) is missing.
        unit: the unit of its values; empty for names, states and numbers that only identify.
        meaning: what its values mean.
    """

    name: str
    dtype: str
    unit: str
    meaning: str


def dtypes_of(columns: Sequence[Column]) -> dict[str, str]:
    """Return the dtype of each column by its name, in the order of the frame."""
    return {column.name: column.dtype for column in columns}


def documents(columns: Sequence[Column]) -> Callable[[_Function], _Function]:
    """Append a table of columns to the docstring of the function that returns their frame.

    >>> @documents([Column("steps", "int64", "optimizer steps", "how long it trained")])
    ... def frame():
    ...     '''Return one row per trial.'''
    >>> print(frame.__doc__)
    Return one row per trial.
    <BLANKLINE>
    | column | unit | meaning |
    |---|---|---|
    | steps | optimizer steps | how long it trained |
    """

    def add(function: _Function) -> _Function:
        rows = ["| column | unit | meaning |", "|---|---|---|"]
        rows += [f"| {c.name} | {c.unit} | {c.meaning} |" for c in columns]
        text = inspect.cleandoc(function.__doc__ or "")
        function.__doc__ = "\n".join([text, "", *rows])
        return function

    return add


_TRIAL = Column("trial", "int64", "", "the trial's number within its Optuna study")
_STUDY = Column("study", "string", "", "the Optuna study; in rank mode each family has its own")
_FAMILY = Column("family", "string", "", "the family of the trial's schedule")

TRIALS: tuple[Column, ...] = (
    _TRIAL,
    _STUDY,
    _FAMILY,
    Column("state", "string", "", "finished, diverged, pruned, running, waiting or failed"),
    Column("peak_lr", "float64", "learning rate", "the schedule's peak learning rate"),
    Column("warmup_frac", "float64", "fraction of the horizon", "linear warm-up; 0 for none"),
    Column("val_loss", "float64", "loss", "validation loss at the last evaluation"),
    Column("best_val_loss", "float64", "loss", "lowest validation loss of all evaluations"),
    Column("train_loss", "float64", "loss", "mean training loss between the last two evaluations"),
    Column("steps", "Int64", "optimizer steps", "done at the last evaluation, at its last rung"),
    Column("horizon", "Int64", "optimizer steps", "of the last rung that the trial was trained at"),
    Column(
        "spent_steps", "Int64", "optimizer steps", "that it was trained for, at all rungs together"
    ),
    Column(
        "steps_to_target",
        "Int64",
        "optimizer steps",
        "until it first reached the task's target, if the task has one",
    ),
    Column("seconds", "float64", "seconds", "of training at the last rung, without evaluations"),
    Column("attempt", "Int64", "count", "how often the trial was begun"),
    Column("owner", "string", "", "the process that trains it, or did: machine, number, start"),
    Column("started", "datetime64[us]", "local time", "when the trial was created"),
    Column("ended", "datetime64[us]", "local time", "when it ended"),
    Column("params", "string", "JSON", "the parameters of the schedule's family"),
    Column("schedule", "string", "JSON", "the whole schedule, for `Schedule.from_json`"),
)
"""The columns of `Run.trials` and `Run.checks`: one row per trial."""

CURVES: tuple[Column, ...] = (
    _TRIAL,
    _STUDY,
    _FAMILY,
    Column("step", "int64", "optimizer steps", "done at the evaluation"),
    Column("lr", "float64", "learning rate", "of the last of these steps"),
    Column("train_loss", "float64", "loss", "mean training loss since the evaluation before"),
    Column("val_loss", "float64", "loss", "loss on the validation split"),
    Column("seconds", "float64", "seconds", "of training so far, without evaluations"),
)
"""The columns of `Run.curves`: one row per evaluation at a trial's last rung."""

RUNGS: tuple[Column, ...] = (
    _TRIAL,
    _STUDY,
    _FAMILY,
    Column("horizon", "int64", "optimizer steps", "the rung's horizon"),
    Column("val_loss", "float64", "loss", "validation loss at the end of the rung"),
)
"""The columns of `Run.rungs`: one row per rung that a trial was trained at."""


def measured_columns(
    columns: Sequence[Column], objectives: Sequence[Objective], *, has_target: bool = True
) -> tuple[Column, ...]:
    """Return the columns of a run: with those that its task measures beside the validation loss.

    Args:
        columns: TRIALS, CURVES or RUNGS.
        objectives: what an evaluation of the run measures.
        has_target: whether the task has a target.

    >>> from schedsearch.objective import OBJECTIVES
    >>> [column.name for column in measured_columns(RUNGS, OBJECTIVES)][-2:]
    ['val_loss', 'val_accuracy']
    """
    found: list[Column] = []
    for column in columns:
        if column.name in ("val_loss", "best_val_loss"):
            best = column.name.removesuffix("val_loss")
            found += [_measured(each, column, best) for each in objectives]
        elif has_target or column.name != "steps_to_target":
            found.append(column)
    return tuple(found)


def _measured(objective: Objective, like: Column, prefix: str) -> Column:
    if objective.name == "val_loss":
        return like
    meaning = like.meaning.replace("validation loss", objective.words)
    meaning = meaning.replace("loss on the validation split", objective.words)
    if not objective.minimizes:
        meaning = meaning.replace("lowest", "highest")
    return Column(f"{prefix}{objective.name}", "float64", "", meaning)
