"""The best value so far, against the compute that a search has spent."""

from typing import Any

import numpy as np
import pandas as pd

from schedsearch.statistics.curves import best_so_far
from schedsearch.store.run import Run

BEST_COLUMNS: dict[str, str] = {
    "run": "string",
    "unit": "string",
    "fraction": "float64",
    "steps": "int64",
    "seconds": "float64",
    "ended": "int64",
    "diverged": "int64",
    "pruned": "int64",
    "best": "float64",
}
FRACTIONS_SPENT = (0.1, 0.25, 0.5, 0.75, 1.0)


def best_frame(run: Run) -> pd.DataFrame:
    """Return the best value at fractions of what a search spent, in steps and in seconds.

    A trial that ended counts with all its training, whether or not it improved anything.
    """
    objective = run.objective
    trials = run.trials()
    trials = trials[trials["state"].isin(("finished", "diverged", "pruned"))]
    trials = trials.sort_values(["ended", "study", "trial"], kind="stable")
    spent = trials["spent_steps"].fillna(trials["steps"]).astype("float64")
    steps, seconds = spent.fillna(0).cumsum(), trials["seconds"].fillna(0).cumsum()
    values = trials[objective.name].where(trials["state"] == "finished")
    best = objective.sign * best_so_far(objective.sign * values.to_numpy(dtype=float))
    rows: list[dict[str, Any]] = []
    for unit, spent_so_far in (("steps", steps), ("seconds", seconds)):
        for fraction in FRACTIONS_SPENT:
            within = spent_so_far <= fraction * spent_so_far.max() * (1 + 1e-12)
            done = int(within.sum())
            states = trials["state"].iloc[:done]
            rows.append(
                {
                    "run": run.name,
                    "unit": unit,
                    "fraction": fraction,
                    "steps": int(steps.iloc[done - 1]) if done else 0,
                    "seconds": float(seconds.iloc[done - 1]) if done else 0.0,
                    "ended": done,
                    "diverged": int((states == "diverged").sum()),
                    "pruned": int((states == "pruned").sum()),
                    "best": best[done - 1] if done and np.isfinite(best[done - 1]) else None,
                }
            )
    return pd.DataFrame(rows, columns=list(BEST_COLUMNS)).astype(BEST_COLUMNS)
