"""Columns of the frame of a confirmation: what they mean, and those that a task measures."""

from collections.abc import Iterable

import pandas as pd

from schedsearch.store.columns import Column, dtypes_of

CONFIRMATION: tuple[Column, ...] = (
    Column("place", "int64", "", "1 for the winner; those that diverged on a seed last"),
    Column("schedule", "string", "", "the family, and the trial that it comes from"),
    Column("family", "string", "", "the family of the schedule"),
    Column("roles", "string", "", "finalist, and the baselines that the schedule is"),
    Column("trial", "Int64", "", "the number of its trial; missing where it was tuned"),
    Column("peak_lr", "float64", "learning rate", "the peak learning rate"),
    Column("seeds", "int64", "seeds", "fresh seeds that it was trained on"),
    Column("diverged", "int64", "seeds", "on which it diverged"),
    Column("mean", "float64", "objective", "mean of the objective over the seeds"),
    Column("low", "float64", "objective", "lower end of the mean's interval"),
    Column("high", "float64", "objective", "upper end of the mean's interval"),
    Column("difference", "float64", "objective", "how much worse than the winner it is"),
    Column("difference_low", "float64", "objective", "lower end of the difference's interval"),
    Column("difference_high", "float64", "objective", "upper end of the difference's interval"),
    Column("p", "float64", "", "p-value against the winner, corrected for their number"),
    Column("told_apart", "boolean", "", "whether it can be told apart from the winner"),
    Column("val_loss", "float64", "loss", "mean final validation loss"),
    Column("search_value", "float64", "objective", "its value in the search or the tuning"),
    Column("json", "string", "", "the schedule as JSON"),
)


def confirmation_columns(measured: Iterable[str], tested: Iterable[str]) -> tuple[Column, ...]:
    """Return the columns of a confirmation, with those that the task measures.

    Args:
        measured: the values of an evaluation beside the validation loss, such as "val_accuracy".
        tested: what was measured on the test split, such as "accuracy"; nothing: no column.
    """
    found: list[Column] = []
    for column in CONFIRMATION:
        if column.name == "json":
            found += [
                Column(f"test_{name}", "float64", "", "on the test split: winner and baselines")
                for name in tested
            ]
        found.append(column)
        if column.name == "val_loss":
            found += [
                Column(name, "float64", "", f"mean final {name.replace('_', ' ')}")
                for name in measured
            ]
    return tuple(found)


def empty_frame(measured: Iterable[str]) -> pd.DataFrame:
    """Return the frame of a run that was not confirmed; see `confirmation_columns`."""
    columns = dtypes_of(confirmation_columns(measured, ()))
    return pd.DataFrame(columns=list(columns)).astype(columns)
