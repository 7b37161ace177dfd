"""Ask for trials: those that were left, then new ones.

New trials are created with their owner's name on them; the number that the storage gives a trial
decides its draws, so no two processes draw the same. Then they are sampled in memory, and their
parameters and schedules are written. One whose owner died before that is sampled again.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field

from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from schedsearch.schedules import Schedule
from schedsearch.search.mirror import Mirror
from schedsearch.search.plan import Plan
from schedsearch.storage.bulk import Sampled, create_running, write_sampled
from schedsearch.storage.owners import Leases, abandoned, release
from schedsearch.storage.records import FINISHED, SCHEDULE, read_schedule


@dataclass(frozen=True)
class Asked:
    """A trial that this process trains now."""

    study: Study
    trial_id: int
    number: int
    schedule: Schedule


@dataclass
class Asker:
    """Hands out batches of a study's trials until it has its total.

    Args:
        study: the study.
        plan: what it does.
        leases: whose names the trials get.
        lock: held while a batch is asked, so that two processes on one machine sample in turn.
        trials: the study's trials, as they were when the last batch was asked.
    """

    study: Study
    plan: Plan
    leases: Leases
    lock: AbstractContextManager[object]
    trials: list[FrozenTrial] = field(default_factory=list)
    _mirror: Mirror = field(init=False)

    def __post_init__(self) -> None:
        self._mirror = Mirror(self.study, self.plan)

    def ask(self) -> tuple[list[Asked], list[int]]:
        """Return a batch (none: the total is there), and the trials that a dead process left."""
        with self.lock:
            self.trials = self.study.get_trials(deepcopy=False)
            left = self._reclaim()
            if left:
                self.trials = self.study.get_trials(deepcopy=False)
            taken = sum(t.state in (*FINISHED, TrialState.RUNNING) for t in self.trials)
            room = min(self.plan.config.trials - taken, self.plan.batch)
            if room <= 0:
                return [], left
            waiting = self._retake(room)
            self._mirror.update(self.trials)
            begun = [(trial._trial_id, trial.number, trial) for trial, s in waiting if s is None]
            batch = [self._asked(t._trial_id, t.number, s) for t, s in waiting if s is not None]
            batch += self._sample(begun)
            batch += self._sample(self._create(room - len(waiting)))
            return self._within_total(batch), left

    def _reclaim(self) -> list[int]:
        """Put trials whose owner died back into the queue, under their own number."""
        left = []
        for trial in self.trials:
            if trial.state != TrialState.RUNNING or not abandoned(trial):
                continue
            # read again: another machine may have taken it since, or its owner ended it after all
            now = self.study._storage.get_trial(trial._trial_id)
            if now.state == TrialState.RUNNING and abandoned(now):
                with suppress(UpdateFinishedTrialError):
                    release(self.study._storage, trial._trial_id)
                    left.append(trial.number)
        return left

    def _retake(self, room: int) -> list[tuple[FrozenTrial, Schedule | None]]:
        """Take waiting trials: each goes to the one process that sets it running first.

        One that a person enqueued has no schedule yet, nor has one whose process died too early.
        """
        storage = self.study._storage
        taken: list[tuple[FrozenTrial, Schedule | None]] = []
        for trial in self.trials:
            if trial.state != TrialState.WAITING or len(taken) >= room:
                continue
            with suppress(UpdateFinishedTrialError):
                if storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING):
                    self.leases.take(trial._trial_id, trial.user_attrs)
                    taken.append((trial, read_schedule(trial)))
        return taken

    def _create(self, count: int) -> list[tuple[int, int, None]]:
        """Create trials: id and number, and nothing begun."""
        if count <= 0:
            return []
        attrs, total = self.leases.first_attrs(), self.plan.config.trials
        created = create_running(self.study._storage, self.study._study_id, attrs, count, total)
        for trial_id, _ in created:
            self.leases.hold(trial_id)
        return [(trial_id, number, None) for trial_id, number in created]

    def _sample(self, trials: Sequence[tuple[int, int, FrozenTrial | None]]) -> list[Asked]:
        """Sample trials, each by its number; those that somebody took meanwhile are theirs."""
        if not trials:
            return []
        batch, rows = [], []
        for trial_id, number, begun in trials:
            drawn, schedule = self._mirror.sample(number, begun)
            attrs = drawn.system_attrs | {SCHEDULE: schedule.to_dict()}
            attrs.pop("fixed_params", None)  # of an enqueued trial, which has them
            rows.append(Sampled(trial_id, drawn.params, drawn.distributions, attrs))
            batch.append(self._asked(trial_id, number, schedule))
        self._mirror.keep_for_sampler()
        ours = write_sampled(self.study._storage, rows, self.leases.owner)
        for asked in batch:
            if asked.trial_id not in ours:
                self.leases.drop(asked.trial_id)
                self._mirror.forget(asked.number)
        return [asked for asked in batch if asked.trial_id in ours]

    def _asked(self, trial_id: int, number: int, schedule: Schedule) -> Asked:
        return Asked(self.study, trial_id, number, schedule)

    def _within_total(self, batch: list[Asked]) -> list[Asked]:
        """Give back trials beyond the total, taken by two processes at one moment."""
        total = self.plan.config.trials
        if all(asked.number < total for asked in batch):
            return batch
        trials = self.study.get_trials(deepcopy=False)
        kept = []
        for asked in batch:
            earlier = sum(t.number < asked.number and t.state != TrialState.FAIL for t in trials)
            if earlier < total:
                kept.append(asked)
            else:
                self.leases.drop(asked.trial_id)
                release(self.study._storage, asked.trial_id)
        return kept
