"""Snapshot: a run at one moment, with each frame read once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

import pandas as pd
from optuna.trial import FrozenTrial

from schedsearch.config import StudyConfig
from schedsearch.confirmation.claim import Confirmation, Confirmed
from schedsearch.confirmation.columns import empty_frame
from schedsearch.confirmation.read import confirmation_of, confirming_trials
from schedsearch.confirmation.record import Finalist
from schedsearch.confirmation.scores import Score, scores_of
from schedsearch.errors import ScheduleError
from schedsearch.objective import Objective, find_objective
from schedsearch.report.edges import searched_rates
from schedsearch.schedules.schedule import Schedule
from schedsearch.store.pairs import by_pair
from schedsearch.store.records import (
    RANGE_TEST,
    read_columns,
    read_result,
    read_schedule,
    stored_objectives,
    stored_target,
)
from schedsearch.store.run import Run
from schedsearch.training.range_test import RangeTest


class TrialRow(NamedTuple):
    """One row of the frame of trials; see `columns.TRIALS`. A missing value is NaN or NA.

    `measured` holds what was measured at the last evaluation, by the names of the objectives.
    """

    trial: int
    study: str
    family: str
    state: str
    peak_lr: float
    warmup_frac: float
    measured: Mapping[str, float]
    train_loss: float
    steps: int
    horizon: int
    spent_steps: int
    steps_to_target: int | None
    seconds: float
    attempt: int
    owner: str
    started: datetime
    ended: datetime
    params: str
    schedule: str


_MEASURED = ("val_", "ema_val_")  # how the columns of what was measured begin


def rows_of(trials: pd.DataFrame) -> list[TrialRow]:
    """Return the rows of a frame of trials, typed."""
    measured = [name for name in trials.columns if name.startswith(_MEASURED)]
    fixed = [name for name in TrialRow._fields if name in trials.columns]
    return [
        TrialRow(
            **{"steps_to_target": None} | {name: row[name] for name in fixed},
            measured={name: row[name] for name in measured},
        )
        for row in trials.to_dict("records")
    ]


@dataclass(frozen=True, eq=False)
class Training:
    """One training of a confirmation.

    Args:
        diverged: whether it diverged.
        curve: its evaluations; the columns of `columns.CURVES` from `step` on.
    """

    diverged: bool
    curve: pd.DataFrame


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A run at one moment.

    Args:
        name: the run's name.
        config: its study file.
        attributes: what it stores of itself; see `Run.attributes`.
        trials: one row per trial; see `columns.TRIALS`.
        curves: one row per evaluation; see `columns.CURVES`.
        rungs: one row per rung that a trial passed; see `columns.RUNGS`.
        confirmed: what was confirmed on fresh seeds, unless trials have ended since.
        stored: Optuna's trials, by study and number.
        confirming: the trainings of that confirmation.
        scores: what was read of the test split.
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
    scores: Sequence[Score] = ()

    @classmethod
    def of(cls, run: Run) -> "Snapshot":
        """Read a run."""
        studies = run.studies()
        stored = {(study, trial.number): trial for study, every in studies for trial in every}
        frames = (
            run.frame_of_trials(studies),
            run.frame_of_curves(studies),
            run.frame_of_rungs(studies),
        )
        confirmed = confirmation_of(run)
        confirming = () if confirmed is None else confirming_trials(run)
        return cls(
            run.name,
            run.config,
            run.attributes,
            *frames,
            confirmed,
            stored,
            confirming,
            scores_of(run),
        )

    @cached_property
    def objectives(self) -> tuple[Objective, ...]:
        """All that the run's trainings can be compared by; the validation loss first."""
        return stored_objectives(self.attributes)

    @property
    def told(self) -> tuple[Objective, ...]:
        """What a sentence says of a training: all but the averaged weights', unless they rank."""
        return tuple(o for o in self.objectives if not o.averaged or o == self.objective)

    @property
    def objective(self) -> Objective:
        """The final value that ranks trials."""
        return find_objective(self.config.search.objective, self.objectives)

    @cached_property
    def target(self) -> tuple[Objective, float] | None:
        """What a training is to reach; None where the task has no target."""
        return stored_target(self.attributes)

    def ended(self) -> pd.DataFrame:
        """Return the trials that are over and have a schedule, in the order of their end."""
        over = self.trials["state"].isin(("finished", "diverged", "pruned"))
        trials = self.trials[over & self.trials["family"].notna()]
        return trials.sort_values(["ended", "study", "trial"], kind="stable")

    def best_of_families(self) -> pd.DataFrame:
        """Return the best finished trial of each family, best first."""
        finished = self.trials[self.trials["state"] == "finished"]
        ranked = finished.sort_values(
            [self.objective.name, "study", "trial"],
            ascending=[self.objective.minimizes, True, True],
        )
        return ranked.drop_duplicates("family").reset_index(drop=True)

    def rows(self, trials: pd.DataFrame) -> list[TrialRow]:
        """Return the rows of a part of `trials`, typed."""
        return rows_of(trials)

    def best_rows(self) -> list[TrialRow]:
        """Return the rows of `best_of_families`."""
        return rows_of(self.best_of_families())

    def best_finalists(self) -> dict[str, Confirmed]:
        """Return the best finalist of each family that was confirmed, best first."""
        every = () if self.confirmed is None else self.confirmed.finalists
        found: dict[str, Confirmed] = {}
        for each in every:
            found.setdefault(each.finalist.schedule.family, each)
        return found

    def finalists(self) -> pd.DataFrame:
        """Return one row per finalist; see `claim.confirmation_columns`."""
        measured = [objective.name for objective in self.objectives[1:]]
        return empty_frame(measured) if self.confirmed is None else self.confirmed.frame()

    def trainings_of(self, each: Confirmed) -> list[Training]:
        """Return the trainings of a finalist, one per fresh seed."""
        assert self.confirmed is not None
        found, text = by_pair(self.confirming), each.finalist.schedule.to_json()
        trials = [found[text, seed] for seed in self.confirmed.basis.seeds]
        return [
            Training(bool(read_result(trial)["diverged"]), pd.DataFrame(read_columns(trial)))
            for trial in trials
        ]

    def winner(self) -> TrialRow | None:
        """Return the trial that won: on fresh seeds if it was confirmed, else in the search."""
        if self.confirmed is not None and self.confirmed.winner.finalist.trial is not None:
            return self.row_of(self.confirmed.winner.finalist)
        return next(iter(self.best_rows()), None)

    def row_of(self, finalist: Finalist) -> TrialRow | None:
        """Return a finalist's trial of the search; None for a baseline, which has none.

        Family and number identify the trial, also where each family has a study of its own.
        """
        own = self.trials["family"] == finalist.schedule.family
        found = self.trials[own & (self.trials["trial"] == finalist.trial)]
        return None if finalist.trial is None else next(iter(rows_of(found)), None)

    def spent(self, trials: pd.DataFrame) -> pd.Series:
        """Return the optimizer steps that each trial took, over all rungs."""
        return trials["spent_steps"].fillna(trials["steps"]).fillna(0).astype("int64")

    def families(self) -> list[str]:
        """Return the families that were tried, best first; those without a result come last.

        The baselines of a confirmation that the search did not try come after all others.
        """
        tried = self.trials["family"].dropna()
        known = [*self.best_of_families()["family"], *sorted(tried), *self.best_finalists()]
        return list(dict.fromkeys(known))

    def curve_of(self, study: str, trial: int) -> pd.DataFrame:
        """Return a trial's evaluations."""
        curves = self.curves
        return curves[(curves["study"] == study) & (curves["trial"] == trial)]

    def schedule_of(self, study: str, trial: int) -> Schedule | None:
        """Return a trial's schedule; None if it is of a family whose module is not imported."""
        try:
            return read_schedule(self.stored[study, trial])
        except ScheduleError:
            return None

    def range_test(self) -> RangeTest | None:
        """Return the range test that chose the searched rates; None if there was none."""
        stored = self.attributes.get(RANGE_TEST)
        return None if stored is None else RangeTest.from_dict(stored)

    def searched_rates(self) -> tuple[float, float]:
        """Return the lowest and the highest peak rate that the run searches."""
        return searched_rates(self.attributes)

    def test_of(self, schedule: Schedule) -> Mapping[str, float]:
        """Return what a schedule reached on the test split, by name; empty where nothing did."""
        return next((each.test for each in self.scores if each.schedule == schedule), {})
