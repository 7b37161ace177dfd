"""Compute: the best value so far against the compute spent, in steps and in seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schedsearch.imports import lazy
from schedsearch.objective import find_objective
from schedsearch.report.figures.chart import Axis, Chart, Panel, Series
from schedsearch.report.figures.figure import Figure
from schedsearch.report.figures.scales import objective_axis
from schedsearch.report.wording import trial_in_words

if TYPE_CHECKING:
    import pandas as pd

    from schedsearch.report.snapshot import Snapshot
else:
    pd = lazy("pandas")


def table(run: Snapshot) -> pd.DataFrame:
    """Return one row per trial, in the order in which trials ended; no rows before one finished.

    Columns: family, trial, state, words, steps_so_far and seconds_so_far (of training, summed over
    trials), best_of_all and best_of_family (the best final value so far), name (of that value).
    """
    ended = run.ended().reset_index(drop=True)
    lowest = run.objective.minimizes
    value = ended[run.objective.name].where(ended["state"] == "finished")
    by_family = value.groupby(ended["family"])
    found = pd.DataFrame(
        {
            "family": ended["family"],
            "trial": ended["trial"],
            "state": ended["state"],
            "words": [trial_in_words(row) for row in run.rows(ended)],
            "steps_so_far": run.spent(ended).cumsum(),
            "seconds_so_far": ended["seconds"].fillna(0.0).cumsum(),
            "best_of_all": (value.cummin() if lowest else value.cummax()).ffill(),
            "best_of_family": by_family.cummin() if lowest else by_family.cummax(),
            "name": run.objective.name,
        }
    )
    return found if value.notna().any() else found.head(0)


def draw(trials: pd.DataFrame) -> Chart:
    """Draw the best of all and of each family as steps; points mark improvements of the best."""
    best = trials["best_of_all"]
    better = trials[best.notna() & (best != best.shift())]
    objective = find_objective(str(trials["name"].iloc[0]))
    axis = objective_axis(objective, best.dropna(), f"final {objective.words}")

    def panel(so_far: str, label: str) -> Panel:
        end = float(trials[so_far].iloc[-1])

        def steps(name: str, rows: pd.DataFrame, column: str, family: str | None) -> Series:
            changed = rows[rows[column].notna() & (rows[column] != rows[column].shift())]
            x, y = (*changed[so_far], end), (*changed[column], changed[column].iloc[-1])
            words = "best of all" if family is None else f"best of {family}"
            return Series(name, "steps", x, y, words, family)

        finished = trials[trials["best_of_family"].notna()]
        lines = [
            steps(str(family), rows, "best_of_family", str(family))
            for family, rows in finished.groupby("family", sort=False)
        ]
        every = steps("all families", trials, "best_of_all", None)
        dots = [
            Series(
                *(str(family), "points", tuple(rows[so_far]), tuple(rows["best_of_all"])),
                tuple(rows["words"]),
                str(family),
            )
            for family, rows in better.groupby("family", sort=False)
        ]
        return Panel(Axis(label), axis, (*lines, every, *dots))

    return Chart(
        "The best so far",
        (
            panel("steps_so_far", "optimizer steps of all trials"),
            panel("seconds_so_far", "seconds of training"),
        ),
    )


FIGURE = Figure(
    "compute",
    (
        "The thick line is the best of all trials so far, with a point where it improved; a thin "
        "one the best of its family."
    ),
    table,
    draw,
)
