"""A performance profile of families over runs: who is fast everywhere."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from schedsearch.analysis.convergence import Source, convergence_of
from schedsearch.errors import RunError
from schedsearch.statistics import performance_profile

RATIOS = (1.0, 1.5, 2.0, 3.0, 5.0)


def profile_of(runs: Sequence[Source]) -> pd.DataFrame:
    """Compare families over runs: how often one reaches its target within a ratio of the fastest.

    Each run is a problem, also of another task; a family's cost is the median steps to the target
    of its first row in `targets`, and a miss is a problem not solved (Dolan & Moré 2002).

    Returns:
        A row a family that all the runs show, with how many runs it solved and the share of them
        within each ratio, the best first.

    Raises:
        RunError: fewer than two runs, or none of the families is in all of them.
    """
    if len(runs) < 2:
        raise RunError("a performance profile compares several runs: name at least two")
    costs = []
    for run in runs:
        targets = convergence_of([run]).targets.drop_duplicates("family")
        costs.append(dict(zip(targets["family"], targets["steps"], strict=True)))
    families = [f for f in costs[0] if all(f in others for others in costs[1:])]
    if not families:
        named = ", ".join(run.name for run in runs)
        raise RunError(f"no family is shown by all of {named}: there is no profile")
    table = np.array([[cost[family] for cost in costs] for family in families], dtype=float)
    shares = performance_profile(table, RATIOS)
    frame = pd.DataFrame(
        {
            "family": families,
            "runs": len(runs),
            "solved": np.isfinite(table).sum(axis=1),
            **{f"within {ratio:g}x": shares[:, i] for i, ratio in enumerate(RATIOS)},
        }
    )
    by = [name for name in frame.columns if name.startswith("within")]
    return frame.sort_values(by, ascending=False, kind="stable").reset_index(drop=True)
