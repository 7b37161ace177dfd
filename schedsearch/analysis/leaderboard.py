"""The leaderboard: the best trial of each family, and how many trials it stands on."""

import pandas as pd

from schedsearch.storage.best import Objective

LEADERBOARD_COLUMNS = (
    *("family", "val_loss", "val_accuracy", "steps_to_target", "base_lr", "warmup_frac"),
    *("trial", "finished", "diverged", "pruned"),
)


def leaderboard(trials: pd.DataFrame, objective: Objective) -> pd.DataFrame:
    """Rank families by the best final value that one of their trials has.

    Args:
        trials: the frame of a run's trials.
        objective: which value ranks.

    Returns:
        A row a family, best first, with LEADERBOARD_COLUMNS. The values are those of its best
        trial; `finished`, `diverged` and `pruned` count its trials. A family of which no trial
        finished stands last, without values.
    """
    rows = []
    for family, group in trials.dropna(subset=["family"]).groupby("family", sort=True):
        finished = group[group["state"] == "finished"]
        row = {"family": family, "finished": len(finished)}
        row |= {state: int((group["state"] == state).sum()) for state in ("diverged", "pruned")}
        if len(finished):
            ranked = finished.sort_values(
                [objective, "trial"], ascending=[objective == "val_loss", True]
            )
            best = ranked.iloc[0]
            row |= {c: best[c] for c in LEADERBOARD_COLUMNS if c in trials.columns}
        rows.append(row)
    table = pd.DataFrame(rows, columns=list(LEADERBOARD_COLUMNS))
    return table.sort_values(
        objective, ascending=objective == "val_loss", na_position="last", kind="stable"
    ).reset_index(drop=True)
