"""The leaderboard: the best trial of each family, and how many trials were made of it."""

import pandas as pd

from schedsearch.horizon import Unit
from schedsearch.objective import Objective
from schedsearch.schedules.families import torch_class_of
from schedsearch.store.run import Run

LEADERBOARD_COLUMNS = (
    *("family", "torch_class", "val_loss", "steps_to_target", "peak_lr", "warmup_frac"),
    *("trial", "finished", "diverged", "pruned"),
)


def leaderboard_of(run: Run) -> pd.DataFrame:
    """Rank the families of a run by the best final value that one of their trials reached.

    Returns:
        One row per family, best first. A family without a finished trial comes last, without
        values. With `val_loss` stand the metrics of the task, and in front what ranks; there are no
        `steps_to_target` where the task has no target.

        | column | unit | meaning |
        |---|---|---|
        | family | | the family's name |
        | torch_class | | the torch class that it builds, if the name differs from it |
        | val_loss | loss | final validation loss of the family's best trial |
        | steps_to_target | optimizer steps | until it first reached the task's target |
        | peak_lr | learning rate | its peak learning rate |
        | warmup_frac | fraction | its warm-up, as a fraction of the run; 0 for none |
        | trial | | its number |
        | finished | count | the family's trials that reached the full horizon |
        | diverged | count | the family's trials that diverged |
        | pruned | count | the family's trials that were stopped early |
    """
    return leaderboard(run.trials(), run.objective)


def leaderboard(trials: pd.DataFrame, objective: Objective) -> pd.DataFrame:
    """Rank families by the best final value; `leaderboard_of` documents the columns.

    Args:
        trials: the frame of a run's trials.
        objective: the value that ranks.
    """
    columns, rows = _columns(trials, objective), []
    for family, group in trials.dropna(subset=["family"]).groupby("family", sort=True):
        finished = group[group["state"] == "finished"]
        row = {"family": family, "torch_class": torch_class_of(str(family))}
        row["finished"] = len(finished)
        row |= {state: int((group["state"] == state).sum()) for state in ("diverged", "pruned")}
        if len(finished):
            ranked = finished.sort_values(
                [objective.name, "trial"], ascending=[objective.minimizes, True]
            )
            best = ranked.iloc[0]
            row |= {c: best[c] for c in columns if c in trials.columns}
        rows.append(row)
    table = pd.DataFrame(rows, columns=columns)
    return table.sort_values(
        objective.name, ascending=objective.minimizes, na_position="last", kind="stable"
    ).reset_index(drop=True)


def _columns(trials: pd.DataFrame, objective: Objective) -> list[str]:
    measured = [name for name in trials.columns if name.startswith("val_")]
    columns: list[str] = []
    for name in LEADERBOARD_COLUMNS:
        if name == "val_loss":
            columns += dict.fromkeys((objective.name, *measured))
        elif name != "steps_to_target" or name in trials.columns:
            columns.append(name)
    return columns


def counted(board: pd.DataFrame, unit: Unit) -> pd.DataFrame:
    """Return a leaderboard to be shown, in the unit of its study: steps or epochs to the target."""
    if unit.steps_per_epoch is None or "steps_to_target" not in board:
        return board
    epochs = board["steps_to_target"].astype("Float64") / unit.steps_per_epoch
    return board.assign(steps_to_target=epochs).rename(
        columns={"steps_to_target": "epochs_to_target"}
    )
