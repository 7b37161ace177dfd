"""Read how well a run's rungs rank schedules for the full horizon."""

from collections.abc import Sequence

import pandas as pd

from schedsearch.fidelity.agreement import FIDELITY, Agreement, agreements, fidelity_frame
from schedsearch.store.columns import documents
from schedsearch.store.names import checks_name
from schedsearch.store.run import Run


def agreements_of(run: Run) -> list[Agreement]:
    """Estimate how well each rung ranks schedules for the full horizon; none without rungs."""
    checks = run.ended_trials(checks_name(run.name))
    cut = run.chosen_fidelity == "truncate"
    trials, unit = run.search_trials(), run.config.training.unit
    return agreements(checks, trials, run.horizons(), run.objective, cut=cut, unit=unit)


@documents(FIDELITY)
def fidelity_of(run: Run) -> pd.DataFrame:
    """Return how well each rung below the full horizon ranks schedules, one row per rung."""
    return fidelity_frame(agreements_of(run))


def pilot_of(run: Run, horizons: Sequence[int]) -> tuple[list[Agreement], list[Agreement]]:
    """Estimate how well rungs rank that are squeezed, and that cut the full run, by the checks."""
    checks = run.ended_trials(checks_name(run.name))
    unit = run.config.training.unit
    squeezed = agreements(checks, (), horizons, run.objective, unit=unit)
    return squeezed, agreements(checks, (), horizons, run.objective, cut=True, unit=unit)
