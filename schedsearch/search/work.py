"""Work: the one loop that trains what a policy asks for, and stores what that gave.

    policy -> jobs -> trainer -> evaluations, curves -> policy -> trials that are over -> queue

All phases of a study go through here: resuming, several processes and writing in batches are
written once.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from schedsearch.search.events import Note, OnEvent
from schedsearch.search.policy import Claim, Policy, Result
from schedsearch.search.timing import Clock, Meter
from schedsearch.training.curve import Evaluation
from schedsearch.training.recipe import Ended, Job, JobTrainer

WAIT_SECONDS = 0.5
"""How long a result waits for others: a transaction takes as long as several trials in it."""


@dataclass
class Results:
    """Stores trials that are over, several at a time, and tells of each.

    Args:
        on_event: told of each trial, once it is stored.
        clock: where the time is counted.
        at_once: whether no trial waits, because a pruner compares them.
    """

    on_event: OnEvent
    clock: Clock
    at_once: bool = False
    _waiting: list[Result] = field(init=False, default_factory=list)
    _written: float = field(init=False, default=-WAIT_SECONDS)

    def add(self, results: Sequence[Result]) -> None:
        """Take trials that are over."""
        self._waiting += results
        if self.at_once:
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
            stored: set[int] = set()
            for queue in {result.claim.queue: None for result in waiting}:
                rows = [result.row for result in waiting if result.claim.queue is queue]
                stored |= queue.end(rows)
            self._written = time.monotonic()
            self.clock.trials += len(stored)
        for result in waiting:
            if result.claim.trial_id in stored:
                self.on_event(result.event())
            else:
                which = f"trial {result.claim.number} ({result.claim.job.schedule.family})"
                self.on_event(Note(f"{which} was finished or taken elsewhere"))


class _Feed:
    """Hands the jobs of a policy to a trainer, and what they gave back to the policy."""

    def __init__(self, policy: Policy, results: Results, meter: Meter) -> None:
        self._policy, self._results, self._meter = policy, results, meter
        self._claims: dict[Job, Claim] = {}

    def ask(self, room: int) -> Sequence[Job]:
        self._results.write()  # the next jobs may take long
        claims = self._policy.ask(room)
        self._claims |= {claim.job: claim for claim in claims}
        if claims:
            self._meter.begin([claim.job for claim in claims], self._policy.steps_ahead())
        return [claim.job for claim in claims]

    def evaluated(self, job: Job, row: Evaluation) -> bool:
        self._meter.at(job, row.step)
        self._results.write_if_due()
        return self._policy.evaluated(self._claims[job], row)

    def ended(self, ended: Ended) -> None:
        self._meter.end(ended.job)
        self._results.add(self._policy.ended(self._claims.pop(ended.job), ended))


def work(
    policy: Policy,
    trainer: JobTrainer,
    on_event: OnEvent,
    clock: Clock,
    *,
    after: int = 0,
    at_once: bool = False,
) -> None:
    """Train what a policy asks for until it asks for nothing; what has ended is always stored.

    Args:
        policy: decides which jobs come next.
        trainer: trains them.
        on_event: told of each trial that is over.
        clock: where the time is counted.
        after: the optimizer steps of the phases that follow.
        at_once: whether each trial is stored as soon as it is over.
    """
    results = Results(on_event, clock, at_once)
    feed = _Feed(policy, results, Meter(on_event, after))
    try:
        with clock.measure("training"):
            trainer.run(feed)
    finally:  # also when the rest is interrupted
        results.write()
