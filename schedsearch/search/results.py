"""Results: store what trials came to, several of them at a time, and tell of each."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from schedsearch.search.asking import Asked
from schedsearch.search.clock import Clock
from schedsearch.search.events import Note, OnEvent, Trained
from schedsearch.search.plan import Plan
from schedsearch.search.rungs import Climb
from schedsearch.search.samplers import READ_COMPLETE_ONLY
from schedsearch.storage.best import Objective, best_trial, better
from schedsearch.storage.bulk import Ended, write_results
from schedsearch.storage.owners import Leases
from schedsearch.storage.records import (
    FINISHED,
    Result,
    read_result,
    read_schedule,
    result_of,
    system_attrs,
    user_attrs,
)
from schedsearch.training import Curve

WAIT_SECONDS = 0.5


@dataclass
class Standing:
    """How far a run is, as far as this process knows: all that is told of it with each trial."""

    finished: int
    best_value: float | None
    best_family: str | None

    @staticmethod
    def of(trials: Sequence[FrozenTrial], objective: Objective) -> "Standing":
        """Sum up a run's trials."""
        finished = sum(t.state in FINISHED for t in trials)
        best = best_trial(trials, objective)
        schedule = None if best is None else read_schedule(best)
        if best is None or schedule is None:
            return Standing(finished, None, None)
        return Standing(finished, read_result(best)[objective], schedule.family)

    def add(self, family: str, value: float | None, objective: Objective) -> None:
        """Add a trial that has ended; a value of None is not compared (pruned, diverged)."""
        self.finished += 1
        if value is None:
            return
        if self.best_value is None or better(value, self.best_value, objective):
            self.best_value, self.best_family = value, family


@dataclass
class Results:
    """Stores trials that have ended, and tells of each.

    A transaction takes as long as several trials in it, and many small runs end in a second. So
    results wait for others: never for more than WAIT_SECONDS of training, and not at all where a
    pruner compares the trials.

    Args:
        study: the run's study.
        plan: what it does.
        leases: whose names the trials have.
        clock: where the time is counted.
        on_event: told of each trial, when it is stored.
        standing: how far the run is.
    """

    study: Study
    plan: Plan
    leases: Leases
    clock: Clock
    on_event: OnEvent
    standing: Standing = field(default_factory=lambda: Standing(0, None, None))
    _waiting: list[tuple[Asked, Climb, Result]] = field(init=False, default_factory=list)
    _written: float = field(init=False, default=-WAIT_SECONDS)

    def add(self, asked: Asked, climb: Climb) -> None:
        """Take what a trial came to: as far as it got, all its curves."""
        result = result_of(climb.curve, self.plan.task.target_accuracy)
        accuracies = climb.values("val_accuracy")
        rungs = [[h, loss, accuracies[h]] for h, loss in climb.values("val_loss").items()]
        result |= {"horizon": climb.horizon, "spent_steps": climb.spent_steps, "rungs": rungs}
        self._waiting.append((asked, climb, result))
        if self.plan.config.search.pruner != "none":
            self.write()
        self.write_if_due()

    def write_if_due(self) -> None:
        """Store what has waited for long enough."""
        if self._waiting and time.monotonic() - self._written >= WAIT_SECONDS:
            self.write()

    def write(self) -> None:
        """Store all that waits."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        with self.clock.measure("storing"):
            rows = [self._row(*each) for each in waiting]
            stored = write_results(self.study._storage, rows, self.leases.owner)
            self._written = time.monotonic()
            for asked, _, _ in waiting:
                self.leases.drop(asked.trial_id)
            self.clock.trials += len(stored)
            for asked, climb, result in waiting:
                if asked.trial_id in stored:
                    self.on_event(self._event(asked, climb, result))
                else:
                    which = f"trial {asked.number} ({asked.schedule.family})"
                    self.on_event(Note(f"{which} was finished or taken elsewhere"))

    def _row(self, asked: Asked, climb: Climb, result: Result) -> Ended:
        search, curve = self.plan.config.search, climb.curve
        state, value = TrialState.COMPLETE, result[search.objective]
        if curve.diverged and search.sampler in READ_COMPLETE_ONLY:
            value = self._penalty(curve)
        elif self._state(climb) != "finished":
            state, value = TrialState.PRUNED, self._last_reported(climb)
        rungs = {} if self.plan.rungs.kind == "full" else climb.values(search.objective)
        attrs, shown = system_attrs(curve, result), user_attrs(result)
        return Ended(asked.trial_id, state, value, attrs, shown, rungs)

    def _state(self, climb: Climb) -> str:
        if climb.curve.diverged:
            return "diverged"
        whole = climb.horizon == self.plan.total_steps and not climb.curve.stopped
        return "finished" if whole else "pruned"

    def _penalty(self, curve: Curve) -> float:
        """Give the bound that no other trial's value is beyond."""
        if self.plan.config.search.objective == "val_accuracy":
            return 0.0
        return self.plan.config.training.diverge_factor * curve.initial_loss

    def _last_reported(self, climb: Climb) -> float | None:
        """Give what Optuna makes the value of a pruned trial: the last that it reported."""
        objective = self.plan.config.search.objective
        if self.plan.rungs.kind != "full":
            return next(reversed(climb.values(objective).values()), None)
        if self.plan.config.search.pruner == "none":
            return None
        curve = climb.curve
        rows = curve.rows[:-1] if curve.diverged else curve.rows  # where it diverged, none was told
        return getattr(rows[-1], objective) if rows else None

    def _event(self, asked: Asked, climb: Climb, result: Result) -> Trained:
        objective, family = self.plan.config.search.objective, asked.schedule.family
        state, value = self._state(climb), result[objective]
        self.standing.add(family, value if state == "finished" else None, objective)
        return Trained(
            trial=asked.number,
            state=state,
            family=family,
            value=value,
            finished=self.standing.finished,
            total=self.plan.config.trials,
            best_value=self.standing.best_value,
            best_family=self.standing.best_family,
            seconds=sum(curve.final.seconds for curve in climb.curves),
        )
