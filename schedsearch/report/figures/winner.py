"""Winner: the rates of the best trial, beside its losses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schedsearch.imports import lazy
from schedsearch.report.figures.chart import Axis, Chart, Panel, Series
from schedsearch.report.figures.figure import Figure
from schedsearch.report.figures.rates import rates_of
from schedsearch.report.figures.scales import loss_axis
from schedsearch.report.wording import trial_in_words

if TYPE_CHECKING:
    import pandas as pd

    from schedsearch.report.snapshot import Snapshot, TrialRow
else:
    pd = lazy("pandas")

COLUMNS = ("family", "what", "step", "value", "words")


def table(run: Snapshot) -> pd.DataFrame:
    """Return the rates and the losses of the best trial; `what` is lr, val_loss or train_loss."""
    row = run.winner()
    return pd.DataFrame([], columns=list(COLUMNS)) if row is None else table_of(run, row)


def table_of(run: Snapshot, row: TrialRow) -> pd.DataFrame:
    """Return the rates and the losses of any trial, with COLUMNS."""
    curve = run.curve_of(row.study, row.trial)
    series = {"lr": rates_of(run, row.study, row.trial).set_index("step")["lr"]}
    reported = [name for name in ("val_loss", "train_loss") if curve[name].notna().any()]
    series |= {name: curve.set_index("step")[name] for name in reported}
    parts = [
        values.rename("value").reset_index().assign(what=what, family=row.family)
        for what, values in series.items()
    ]
    return pd.concat(parts, ignore_index=True).assign(words=trial_in_words(row, run.told))[
        list(COLUMNS)
    ]


def draw(winner: pd.DataFrame, who: str = "The best trial") -> Chart:
    """Draw the rates, and beside them the losses on validation and training data."""
    family, words = str(winner["family"].iloc[0]), str(winner["words"].iloc[0])

    def line(what: str, name: str, of: str | None) -> Series:
        rows = winner[winner["what"] == what]
        return Series(name, "line", tuple(rows["step"]), tuple(rows["value"]), words, of)

    losses = [line("val_loss", "validation loss", family)]
    if (winner["what"] == "train_loss").any():
        losses.append(line("train_loss", "training loss", None))
    step, values = Axis("optimizer step"), winner.loc[winner["what"] != "lr", "value"]
    return Chart(
        f"{who}: its learning rate and its loss",
        (
            Panel(step, Axis("learning rate", from_zero=True), (line("lr", family, family),)),
            Panel(step, loss_axis(values, "loss"), tuple(losses)),
        ),
    )


FIGURE = Figure(
    "winner",
    "The rate at each step of the best trial, and its losses.",
    table,
    draw,
)
