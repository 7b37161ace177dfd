"""Convergence: the best run of each family, validation loss and accuracy against steps."""

import pandas as pd

from schedsearch.analysis.figures.chart import Axis, Chart, Panel, Series
from schedsearch.analysis.figures.scales import accuracy_axis, loss_axis
from schedsearch.analysis.snapshot import Snapshot
from schedsearch.analysis.wording import trial_in_words

COLUMNS = ("family", "trial", "step", "val_loss", "val_accuracy", "words")


def table(run: Snapshot) -> pd.DataFrame:
    """Return the evaluations of each family's best trial: a row an evaluation, COLUMNS."""
    found = [
        run.curve_of(row.study, row.trial).assign(words=trial_in_words(row))
        for row in run.best_rows()
    ]
    return pd.concat(found or [run.curves.head(0).assign(words="")], ignore_index=True)[
        list(COLUMNS)
    ]


def draw(evaluations: pd.DataFrame) -> Chart:
    """Draw two panels, a line a family."""
    accuracy, place = accuracy_axis(evaluations["val_accuracy"])
    losses, accuracies = [], []
    for family, rows in evaluations.groupby("family", sort=False):
        name, steps = str(family), tuple(rows["step"])
        losses.append(
            Series(
                *(name, "line", steps, tuple(rows["val_loss"])),
                tuple(f"step {r.step}: {r.val_loss:.4g}\n{r.words}" for r in rows.itertuples()),
                name,
            )
        )
        accuracies.append(
            Series(
                *(name, "line", steps, tuple(map(place, rows["val_accuracy"]))),
                tuple(f"step {r.step}: {r.val_accuracy:.2%}\n{r.words}" for r in rows.itertuples()),
                name,
            )
        )
    step, loss = Axis("optimizer step"), loss_axis(evaluations["val_loss"])
    return Chart(
        "Convergence of the best run of each family",
        (Panel(step, loss, tuple(losses)), Panel(step, accuracy, tuple(accuracies))),
    )
