"""Policy: decides which jobs come next, and is told what they gave.

    search (cohorts over rungs), checks of the rungs, tuning of the baselines, confirmation, scores

A policy takes trials from a queue, so that several processes share its work and what a dead one
left is trained again. What a policy asks for depends on configuration and on what it was told, in
an order that configuration fixes: never on speed, or on what is trained beside it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from schedsearch.search.events import Event
from schedsearch.store.queue import Queue
from schedsearch.store.writing import Finished
from schedsearch.training.curve import Evaluation
from schedsearch.training.recipe import Ended, Job


@dataclass(frozen=True, eq=False)
class Claim:
    """A job that this process trains now, for a trial that it holds.

    Args:
        queue: where the trial is.
        trial_id: the id of the trial in its storage.
        number: the number of the trial in its study.
        job: what is trained.
    """

    queue: Queue
    trial_id: int
    number: int
    job: Job


@dataclass(frozen=True, eq=False)
class Result:
    """A trial that is over.

    Args:
        claim: the last of its jobs.
        row: what is stored of the trial.
        event: called once the trial is stored; returns what is told of it.
    """

    claim: Claim
    row: Finished
    event: Callable[[], Event]


class Policy(Protocol):
    """Decides which jobs come next, and is told what they gave."""

    def ask(self, room: int) -> Sequence[Claim]:
        """Return at most `room` jobs to train next; none while nothing is to be done."""

    def evaluated(self, claim: Claim, row: Evaluation) -> bool:
        """Return whether a job is to be stopped after an evaluation."""

    def ended(self, claim: Claim, ended: Ended) -> Sequence[Result]:
        """Take in what a job gave, and return the trials that are over now."""

    def steps_ahead(self) -> int:
        """Return the optimizer steps that are planned beyond the jobs that were handed out."""
