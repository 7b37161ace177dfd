"""Read a run's confirmation: what its stored trainings show."""

import pandas as pd
from optuna.trial import FrozenTrial

from schedsearch.confirmation.claim import Confirmation, conclude_from
from schedsearch.confirmation.columns import CONFIRMATION, empty_frame
from schedsearch.confirmation.record import concluded_in
from schedsearch.confirmation.scores import scores_of
from schedsearch.store.columns import documents
from schedsearch.store.names import confirmation_name
from schedsearch.store.run import Run


def last_confirmation(run: Run) -> Confirmation | None:
    """Return what was last confirmed on fresh seeds; None when nothing was, or all diverged."""
    name = confirmation_name(run.name)
    basis = concluded_in(run.study_attributes(name))
    if basis is None:
        return None
    return conclude_from(basis, run.ended_trials(name), run.objective, scores_of(run))


def confirmation_of(run: Run) -> Confirmation | None:
    """Return what was confirmed, unless trials of the search have ended since."""
    confirmed = last_confirmation(run)
    if confirmed is None:
        return None
    return confirmed if confirmed.basis.tried == run.ended() else None


def confirming_trials(run: Run) -> list[FrozenTrial]:
    """Return the trainings of a run's confirmation that have ended."""
    return run.ended_trials(confirmation_name(run.name))


@documents(CONFIRMATION)
def confirmation_frame(run: Run) -> pd.DataFrame:
    """Return one row per finalist, best first.

    The frame shows what was last confirmed, also when trials of the search have ended since.
    """
    confirmed = last_confirmation(run)
    measured = [objective.name for objective in run.objectives[1:]]
    return empty_frame(measured) if confirmed is None else confirmed.frame()
