"""What a trial of a search gave: the row that is stored of it, and what is told."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from optuna.trial import TrialState

from schedsearch.horizon import STEPS, Unit
from schedsearch.objective import Objective
from schedsearch.search.events import Trained
from schedsearch.search.plan import Plan
from schedsearch.search.policy import Claim
from schedsearch.search.rungs import Climb, Rungs
from schedsearch.store.queue import Queue
from schedsearch.store.ranking import best_trial
from schedsearch.store.records import (
    read_result,
    read_schedule,
    result_of,
    system_attrs,
    user_attrs,
)
from schedsearch.store.writing import Finished
from schedsearch.training.curve import Curve
from schedsearch.training.recipe import Recipe


@dataclass(frozen=True)
class Terms:
    """What a search needs of the plan beside its parts.

    Args:
        name: what the search is called in events: the name of its study.
        recipe: how each job is trained.
        objective: what is compared.
        seed: decides weights and batches of every trial.
        prunes: whether a pruner of Optuna's looks at each evaluation.
        reads_pruned: whether the sampler learns from pruned trials.
        unit: the unit in which a person counts steps.
    """

    name: str
    recipe: Recipe
    objective: Objective
    seed: int
    prunes: bool
    reads_pruned: bool
    unit: Unit = STEPS

    @classmethod
    def of(cls, plan: Plan) -> "Terms":
        """Return the terms of a plan's search."""
        seed, prunes, reads = plan.training_seed, plan.prunes, plan.reads_pruned
        return cls(plan.name, plan.recipe, plan.objective, seed, prunes, reads, plan.unit)


@dataclass
class Standing:
    """How far a search is, as far as this process knows: all that is told of it with each trial.

    Args:
        total: the trials of the search.
        finished: the trials that are over.
        best_value: the best value of the objective so far; None before the first.
        best_family: the family of the best trial.
    """

    total: int
    finished: int = 0
    best_value: float | None = None
    best_family: str | None = None

    def look(self, queues: Sequence[Queue], objective: Objective) -> None:
        """Take in the trials of all studies of the search, as they were last read."""
        trials = [trial for queue in queues for trial in queue.trials]
        self.finished = sum(queue.finished for queue in queues)
        best = best_trial(trials, objective)
        schedule = None if best is None else read_schedule(best)
        if best is not None and schedule is not None:
            self.best_value = objective.of(read_result(best))
            self.best_family = schedule.family

    def add(self, family: str, value: float | None, objective: Objective) -> None:
        """Add a trial that is over; a value of None is not compared (pruned, diverged)."""
        self.finished += 1
        if value is None:
            return
        if self.best_value is None or objective.better(value, than=self.best_value):
            self.best_value, self.best_family = value, family

    def event(self, claim: Claim, climb: Climb, rungs: Rungs, terms: Terms) -> Trained:
        """Return what is told of a trial that is over, and count it."""
        state, value = state_of(climb, rungs), climb.curve.final.value(terms.objective.name)
        family = claim.job.schedule.family
        self.add(family, value if state == "finished" else None, terms.objective)
        return Trained(
            trial=claim.number,
            state=state,
            family=family,
            value=value,
            finished=self.finished,
            total=self.total,
            best_value=self.best_value,
            best_family=self.best_family,
            seconds=sum(curve.final.seconds for curve in climb.curves),
        )


def state_of(climb: Climb, rungs: Rungs) -> str:
    """Return how a trial ended: "finished", "pruned" or "diverged"."""
    if climb.curve.diverged:
        return "diverged"
    whole = climb.horizon == rungs.full and not climb.curve.stopped
    return "finished" if whole else "pruned"


def row_of(trial_id: int, climb: Climb, rungs: Rungs, terms: Terms) -> Finished:
    """Return what is stored of a trial that is over: all its curves are summed up."""
    objective, state = terms.objective, state_of(climb, rungs)
    result = result_of(climb.curve, terms.recipe)
    each = [{"horizon": h, **row.values} for h, row in climb.finals.items()]
    result |= {"horizon": climb.horizon, "spent_steps": climb.spent_steps, "rungs": each}
    stored, value = TrialState.COMPLETE, result[objective.name]
    penalty = _penalty(climb.curve, terms)
    if state == "diverged" and not terms.reads_pruned and isfinite(penalty):
        value = penalty
    elif state != "finished":
        stored, value = TrialState.PRUNED, _last_reported(climb, rungs, terms)
    reported = {} if rungs.kind == "full" else climb.values(objective.name)
    attrs = system_attrs(climb.curve, result)
    return Finished(trial_id, stored, value, attrs, user_attrs(result), reported)


def _penalty(curve: Curve, terms: Terms) -> float:
    """Return what a sampler is told that reads complete trials only: no better than untrained."""
    untrained, objective = curve.initial[terms.objective.name], terms.objective
    scale = (terms.recipe.diverge_factor - 1) * abs(untrained)
    return untrained + scale if objective.minimizes else min(0.0, untrained)


def _last_reported(climb: Climb, rungs: Rungs, terms: Terms) -> float | None:
    """Return what Optuna makes the value of a pruned trial: the last that it reported."""
    name, curve = terms.objective.name, climb.curve
    if rungs.kind != "full":
        return next(reversed(climb.values(name).values()), None)
    if not terms.prunes:
        return None
    rows = curve.rows[:-1] if curve.diverged else curve.rows  # where it diverged, none was told
    return rows[-1].value(name) if rows else None
