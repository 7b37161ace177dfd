"""FixedJobs: a policy that trains a given list of jobs, each as one trial of a study.

The tuning of the baselines, the confirmation and the scores on the test split are such lists. A job
is found again by what it trains, a schedule on a seed: what other processes train, or have trained,
is not trained again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from schedsearch.compat import trial_id_of
from schedsearch.objective import Objective
from schedsearch.search.events import Confirming, OnEvent
from schedsearch.search.policy import Claim, Result
from schedsearch.store.pairs import SEED, Pair, by_pair, pair_of
from schedsearch.store.queue import Queue
from schedsearch.store.records import (
    FINISHED,
    SCHEDULE,
    result_of,
    system_attrs,
    user_attrs,
)
from schedsearch.store.writing import Finished
from schedsearch.training.curve import Evaluation
from schedsearch.training.recipe import Ended, Job, Recipe

_TAKEN = (*FINISHED, TrialState.RUNNING)


def _nothing_more(ended: Ended) -> Mapping[str, Any]:
    return {}


@dataclass
class FixedJobs:
    """The policy that trains given jobs.

    Args:
        queue: the study's trials.
        recipe: how each job is trained.
        objective: the value of a trial.
        jobs: what is to be there at the end; no two train the same.
        what: what is done, in words.
        on_event: told of how many jobs are done.
        at_least: the fewest trials that are claimed together, where so many are missing.
        measured: what is stored of a job beside its curve.
    """

    queue: Queue
    recipe: Recipe
    objective: Objective
    jobs: Sequence[Job]
    what: str
    on_event: OnEvent
    at_least: int = 1
    measured: Callable[[Ended], Mapping[str, Any]] = _nothing_more
    done: int = field(init=False, default=0)
    _missing: dict[Pair, Job] = field(init=False, default_factory=dict)
    _waiting: list[Claim] = field(init=False, default_factory=list)
    _told: bool = field(init=False, default=False)

    def look(self) -> None:
        """Read which jobs are done, or are being trained by other processes."""
        with self.queue.lock:
            self._look()

    @property
    def ended_trials(self) -> dict[Pair, FrozenTrial]:
        """The trials that were over at the last look, by what they train."""
        return by_pair([t for t in self.queue.trials if t.state in FINISHED])

    @property
    def unfinished(self) -> list[Job]:
        """The jobs that were not done at the last look; other processes may be training some."""
        ended = self.ended_trials
        return [job for job in self.jobs if _pair(job) not in ended]

    @property
    def complete(self) -> bool:
        """Whether all jobs were done, at the last look."""
        return self.done == len(self.jobs)

    def ask(self, room: int) -> list[Claim]:
        """Return the next jobs; none: the rest is done, or trained by other processes."""
        if not self._waiting:
            self._waiting = self._claim_more(max(room, self.at_least))
        if not self._waiting:
            return []
        if not self._told:
            self.on_event(Confirming(self.what, self.done, len(self.jobs)))
            self._told = True
        handed, self._waiting = self._waiting[:room], self._waiting[room:]
        return handed

    def evaluated(self, claim: Claim, row: Evaluation) -> bool:
        """Return False: all jobs are trained to their end."""
        return False

    def ended(self, claim: Claim, ended: Ended) -> list[Result]:
        """Return the trial of a job that has ended."""
        curve = ended.curve.compared_by(self.objective.name)
        result = result_of(curve, self.recipe) | dict(self.measured(ended))
        state, value = TrialState.COMPLETE, result[self.objective.name]
        if curve.diverged:
            state, value = TrialState.PRUNED, None
        attrs = system_attrs(curve, result)
        row = Finished(claim.trial_id, state, value, attrs, user_attrs(result))
        return [Result(claim, row, self._count)]

    def steps_ahead(self) -> int:
        """Return the steps of the jobs that are claimed and wait, and of those still missing."""
        waiting = [claim.job for claim in self._waiting]
        return sum(job.end for job in (*waiting, *self._missing.values()))

    def _count(self) -> Confirming:
        self.done += 1
        return Confirming(self.what, self.done, len(self.jobs))

    def _look(self) -> None:
        self.queue.look()
        trials = self.queue.trials
        wanted = {_pair(job): job for job in self.jobs}
        ended = by_pair([t for t in trials if t.state in FINISHED])
        taken = by_pair([t for t in trials if t.state in _TAKEN])
        self.done = len(wanted.keys() & ended.keys())
        self._missing = {pair: job for pair, job in wanted.items() if pair not in taken}

    def _claim_more(self, most: int) -> list[Claim]:
        """Take what waits, then create what is missing."""
        with self.queue.lock:
            while True:
                self._look()
                if not self._missing:
                    return []
                claims = self._retake(most)
                new = list(self._missing.values())[: most - len(claims)]
                created = self._create(new)
                if claims or created:
                    return claims + created

    def _retake(self, most: int) -> list[Claim]:
        seen: set[Pair] = set()

        def wanted(trial: FrozenTrial) -> bool:
            pair = pair_of(trial)
            new = pair in self._missing and pair not in seen
            if pair is not None and new:
                seen.add(pair)
            return new

        claims = []
        for trial in self.queue.take(most, wanted):
            pair = pair_of(trial)
            assert pair is not None
            job = self._missing.pop(pair)
            claims.append(Claim(self.queue, trial_id_of(trial), trial.number, job))
        return claims

    def _create(self, jobs: Sequence[Job]) -> list[Claim]:
        """Create trials; none when another machine created some between the look and this."""
        total = sum(t.state != TrialState.FAIL for t in self.queue.trials) + len(jobs)
        attrs = [{SCHEDULE: job.schedule.to_dict(), SEED: job.seed} for job in jobs]
        created = self.queue.create(len(jobs), total, attrs)
        if not created:
            return []
        for job in jobs:
            del self._missing[_pair(job)]
        return [
            Claim(self.queue, trial_id, number, job)
            for (trial_id, number), job in zip(created, jobs, strict=True)
        ]


def _pair(job: Job) -> Pair:
    return job.schedule.to_json(), job.seed
