"""A performance profile of families over runs: which family is fast everywhere."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from schedsearch.errors import RunError
from schedsearch.report.convergence import convergence_of
from schedsearch.statistics.curves import performance_profile
from schedsearch.store.run import Run

RATIOS = (1.0, 1.5, 2.0, 3.0, 5.0)


def profile_of(runs: Sequence[Run]) -> pd.DataFrame:
    """Compare families over runs: how often each reaches its target within a ratio of the fastest.

    Each run is a problem; the runs may differ in their task. The cost of a family is the median
    steps to the target in its first row of `targets`; a miss is an unsolved problem (Dolan & Moré
    2002).

    Args:
        runs: at least two runs.

    Returns:
        One row per family that all runs have, best first.

        | column | unit | meaning |
        |---|---|---|
        | family | | the family's name |
        | runs | count | the runs that are compared |
        | solved | count | runs in which the family reached the target |
        | within 1x | fraction | runs in which no family was faster |
        | within 1.5x | fraction | runs in which it took at most 1.5 times the fastest's steps |
        | within 2x | fraction | the same for 2 times |
        | within 3x | fraction | the same for 3 times |
        | within 5x | fraction | the same for 5 times |

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
    fractions = performance_profile(table, RATIOS)
    frame = pd.DataFrame(
        {
            "family": families,
            "runs": len(runs),
            "solved": np.isfinite(table).sum(axis=1),
            **{f"within {ratio:g}x": fractions[:, i] for i, ratio in enumerate(RATIOS)},
        }
    )
    by = [name for name in frame.columns if name.startswith("within")]
    return frame.sort_values(by, ascending=False, kind="stable").reset_index(drop=True)
