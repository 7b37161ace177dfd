"""Compute: the best so far against what was spent on it, in steps and in seconds."""

import pandas as pd

from schedsearch.analysis.figures.chart import Axis, Chart, Panel, Series
from schedsearch.analysis.figures.scales import objective_axis
from schedsearch.analysis.snapshot import Snapshot
from schedsearch.analysis.wording import trial_in_words


def table(run: Snapshot) -> pd.DataFrame:
    """Return a row a trial in the order of their end.

    Columns: family, trial, state, words, steps_so_far and seconds_so_far (of training, all trials
    together), best_of_all and best_of_family (the best final value so far), name (which value).
    No rows while nothing has finished.
    """
    ended = run.ended().reset_index(drop=True)
    lowest = run.objective == "val_loss"
    value = ended[run.objective].where(ended["state"] == "finished")
    by_family = value.groupby(ended["family"])
    found = pd.DataFrame(
        {
            "family": ended["family"],
            "trial": ended["trial"],
            "state": ended["state"],
            "words": [trial_in_words(row) for row in ended.itertuples()],
            "steps_so_far": run.spent(ended).cumsum(),
            "seconds_so_far": ended["seconds"].fillna(0.0).cumsum(),
            "best_of_all": (value.cummin() if lowest else value.cummax()).ffill(),
            "best_of_family": by_family.cummin() if lowest else by_family.cummax(),
            "name": run.objective,
        }
    )
    return found if value.notna().any() else found.head(0)


def draw(trials: pd.DataFrame) -> Chart:
    """Draw the best of all and of each family as steps down; points where all improved."""
    best = trials["best_of_all"]
    better = trials[best.notna() & (best != best.shift())]
    axis = objective_axis(str(trials["name"].iloc[0]), best.dropna())

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
