"""Print a frame on the terminal."""

import shutil
import sys
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    import pandas as pd


def with_torch_class(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return a frame of schedules with their torch classes, if any family has another name."""
    from schedsearch.schedules.families import torch_class_of

    classes = frame["family"].map(torch_class_of, na_action="ignore")
    if classes.isna().all():
        return frame
    shown = frame.copy()
    shown.insert(list(frame.columns).index("schedule") + 1, "torch_class", classes)
    return shown


def print_table(frame: "pd.DataFrame") -> None:
    """Print a frame; a terminal that is too narrow gets the first columns only."""
    from schedsearch.report.tables import render

    typer.echo(render(frame, shutil.get_terminal_size().columns if sys.stdout.isatty() else None))
