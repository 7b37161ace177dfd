"""Snapshot: a run as it stood at one moment, each frame read once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from optuna.trial import FrozenTrial

from schedsearch.analysis.confirmation import Confirmation, Confirmed
from schedsearch.analysis.frames import curves_frame, rungs_frame, trials_frame
from schedsearch.analysis.run import Run
from schedsearch.config import StudyConfig
from schedsearch.errors import ScheduleError
from schedsearch.schedules import Schedule
from schedsearch.storage.best import Objective
from schedsearch.storage.finalists import Finalist
from schedsearch.storage.records import read_schedule


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A run as it stood at one moment.

    Args:
        name: the run's name.
        config: its study file.
        attributes: what it stores of itself; see `Run.attributes`.
        trials: see `frames.TRIAL_COLUMNS`.
        curves: see `frames.CURVE_COLUMNS`.
        rungs: see `frames.RUNG_COLUMNS`.
        confirmed: what was confirmed on fresh seeds, unless trials have ended since.
        stored: Optuna's trials, by study and number.
        confirming: the trials of that confirmation.
    """

    name: str
    config: StudyConfig
    attributes: dict[str, Any]
    trials: pd.DataFrame
    curves: pd.DataFrame
    rungs: pd.DataFrame
    confirmed: Confirmation | None
    stored: dict[tuple[str, int], FrozenTrial]
    confirming: Sequence[FrozenTrial] = ()

    @classmethod
    def of(cls, run: Run) -> "Snapshot":
        """Read a run."""
        studies = run._studies()
        stored = {(study, trial.number): trial for study, every in studies for trial in every}
        frames = (trials_frame(studies), curves_frame(studies), rungs_frame(studies))
        confirmed = run.confirmed_now
        confirming = () if confirmed is None else run.confirmation_trials()
        return cls(run.name, run.config, run.attributes, *frames, confirmed, stored, confirming)

    @property
    def objective(self) -> Objective:
        """The final value that ranks."""
        return self.config.search.objective

    def ended(self) -> pd.DataFrame:
        """Return the trials that are over and have a schedule, in the order of their end."""
        over = self.trials["state"].isin(("finished", "diverged", "pruned"))
        trials = self.trials[over & self.trials["family"].notna()]
        return trials.sort_values(["ended", "study", "trial"], kind="stable")

    def best_of_families(self) -> pd.DataFrame:
        """Return the best finished trial of each family, best first."""
        finished = self.trials[self.trials["state"] == "finished"]
        ranked = finished.sort_values(
            [self.objective, "study", "trial"],
            ascending=[self.objective == "val_loss", True, True],
        )
        return ranked.drop_duplicates("family").reset_index(drop=True)

    def best_finalists(self) -> dict[str, Confirmed]:
        """Return the best finalist of each family that was confirmed, best first."""
        every = () if self.confirmed is None else self.confirmed.finalists
        found: dict[str, Confirmed] = {}
        for each in every:
            found.setdefault(each.finalist.schedule.family, each)
        return found

    def best_rows(self) -> list[Any]:
        """Return the rows of `best_of_families`."""
        return list(self.best_of_families().itertuples())

    def winner(self) -> Any | None:
        """Return the row of the trial that won: on fresh seeds where it was confirmed there."""
        if self.confirmed is not None and self.confirmed.winner.finalist.trial is not None:
            return self.row_of(self.confirmed.winner.finalist)
        return next(iter(self.best_rows()), None)

    def row_of(self, finalist: Finalist) -> Any | None:
        """Return the row of a finalist's trial; None where it was tuned for the confirmation.

        Family and number say which trial it is, also where each family has a study of its own.
        """
        own = self.trials["family"] == finalist.schedule.family
        found = self.trials[own & (self.trials["trial"] == finalist.trial)]
        return None if finalist.trial is None else next(iter(found.itertuples()), None)

    def spent(self, trials: pd.DataFrame) -> pd.Series:
        """Return the optimizer steps that trials took, at all rungs."""
        return trials["spent_steps"].fillna(trials["steps"]).fillna(0).astype("int64")

    def families(self) -> list[str]:
        """Name the families that were tried, the best first, those without a result last.

        The references of a confirmation, where the search had none of them, come after these.
        """
        tried = self.trials["family"].dropna()
        known = [*self.best_of_families()["family"], *sorted(tried), *self.best_finalists()]
        return list(dict.fromkeys(known))

    def curve_of(self, study: str, trial: int) -> pd.DataFrame:
        """Return a trial's evaluations."""
        curves = self.curves
        return curves[(curves["study"] == study) & (curves["trial"] == trial)]

    def schedule_of(self, study: str, trial: int) -> Schedule | None:
        """Return a trial's schedule; None for a family of the user's that is not imported."""
        try:
            return read_schedule(self.stored[study, trial])
        except ScheduleError:
            return None
