"""The queue: the trials of a run's studies as leased work, whoever asked for them.

A trial waits, is trained by one process that holds its lease, and ends. A process that dies leaves
its trials to the others:

    waiting --take--> running (owner, lease, attempt) --end--> complete or pruned
       ^                        |
       +------- given back, or reclaimed from a dead owner

Each Optuna study of a run has a queue; all phases use this one class.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from schedsearch.compat import storage_of, study_id_of, trial_id_of
from schedsearch.store.leases import Leases, abandoned, release
from schedsearch.store.records import FINISHED
from schedsearch.store.writing import Finished, Sampled, Writer


class Queue:
    """The trials of one Optuna study, as this process sees and trains them.

    Args:
        study: the study.
        leases: the names under which this process holds trials.
        writer: writes several trials at once into the study's storage.
        lock: held while trials are asked, so that two processes on one machine ask in turn.
    """

    def __init__(
        self,
        study: Study,
        leases: Leases,
        writer: Writer,
        lock: AbstractContextManager[object],
    ) -> None:
        self.study, self.lock = study, lock
        self.storage = storage_of(study)
        self.leases, self._writer = leases, writer
        self.trials: list[FrozenTrial] = []

    def look(self) -> list[int]:
        """Read the trials, and put those whose owner died back into the queue.

        Returns:
            The numbers of the trials that were put back; they keep their numbers.
        """
        self.trials = self.study.get_trials(deepcopy=False)
        left = [trial.number for trial in self.trials if self._reclaimed(trial)]
        if left:
            self.trials = self.study.get_trials(deepcopy=False)
        return left

    def _reclaimed(self, trial: FrozenTrial) -> bool:
        if trial.state != TrialState.RUNNING or not abandoned(trial):
            return False
        # read again: another machine may have taken it since, or its owner ended it after all
        now = self.storage.get_trial(trial_id_of(trial))
        if now.state != TrialState.RUNNING or not abandoned(now):
            return False
        with suppress(UpdateFinishedTrialError):
            release(self.storage, trial_id_of(trial))
            return True
        return False

    @property
    def taken(self) -> int:
        """How many trials are over or being trained, at the last look."""
        return sum(t.state in (*FINISHED, TrialState.RUNNING) for t in self.trials)

    @property
    def finished(self) -> int:
        """How many trials are over, at the last look."""
        return sum(t.state in FINISHED for t in self.trials)

    def take(
        self, most: int, wanted: Callable[[FrozenTrial], bool] = lambda trial: True
    ) -> list[FrozenTrial]:
        """Take waiting trials: each goes to the one process that sets it running first.

        Args:
            most: the most trials that are taken.
            wanted: which of them.
        """
        taken: list[FrozenTrial] = []
        for trial in self.trials:
            if len(taken) >= most:
                break
            if trial.state != TrialState.WAITING or not wanted(trial):
                continue
            trial_id = trial_id_of(trial)
            with suppress(UpdateFinishedTrialError):
                if self.storage.set_trial_state_values(trial_id, TrialState.RUNNING):
                    self.leases.take(trial_id, trial.user_attrs)
                    taken.append(trial)
        return taken

    def create(
        self, count: int, total: int, system_attrs: Sequence[Mapping[str, Any]] = ()
    ) -> list[tuple[int, int]]:
        """Create trials that this process holds, and return the id and the number of each.

        Args:
            count: how many.
            total: the most trials that the study is to have, those that failed not counted. What
                other processes have created since the last look counts: fewer may be created.
            system_attrs: what each is created with, in one transaction with it. Then all are
                created, or none where other processes left too little room.
        """
        if count <= 0:
            return []
        attrs = self.leases.first_attrs()
        created = self._writer.create_running(
            study_id_of(self.study), attrs, count, total, system_attrs
        )
        for trial_id, _ in created:
            self.leases.hold(trial_id)
        return created

    def describe(self, rows: Sequence[Sampled]) -> set[int]:
        """Write what trials of this process are, and return the ids of those still its own.

        A trial that another process has taken meanwhile is let go of.
        """
        ours = self._writer.write_sampled(rows, self.leases.owner)
        for row in rows:
            if row.trial_id not in ours:
                self.leases.drop(row.trial_id)
        return ours

    def give_back(self, trial_ids: Sequence[int]) -> None:
        """Put trials of this process back into the queue, untrained."""
        for trial_id in trial_ids:
            self.leases.drop(trial_id)
            release(self.storage, trial_id)

    def end(self, rows: Sequence[Finished]) -> set[int]:
        """End trials, and return the ids of those that were still this process's to end."""
        ours = self._writer.write_results(rows, self.leases.owner)
        for row in rows:
            self.leases.drop(row.trial_id)
        return ours
