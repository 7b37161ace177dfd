"""Ask for trials: those that were left, then new ones, which are sampled in memory.

Optuna's RDB storage reads all unfinished trials anew at every single suggestion. So a batch is
sampled on a mirror of the study in memory. A trial is created with its owner's name on it; the
number that the storage gives it decides its draws, so no two processes draw the same; then its
parameters and its schedule are written. One whose owner died before that is sampled again.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import InMemoryStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial

from schedsearch.schedules import Schedule, suggest_schedule
from schedsearch.search.plan import Plan
from schedsearch.search.samplers import SeededByTrial
from schedsearch.storage.owners import Leases, abandoned, release
from schedsearch.storage.records import PREFIX, SCHEDULE, read_result, read_schedule

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True)
class Asked:
    """A trial that this process trains now."""

    trial_id: int
    number: int
    schedule: Schedule


@dataclass
class Mirror:
    """A study's trials in memory, for the sampler; brought up to date before each batch."""

    real: Study
    sampler: SeededByTrial
    study: Study = field(init=False)
    _ids: dict[int, int] = field(default_factory=dict)  # trial number -> id in the mirror
    _done: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.study = optuna.create_study(
            storage=InMemoryStorage(), sampler=self.sampler, direction=self.real.direction
        )

    def update(self, trials: list[FrozenTrial]) -> None:
        """Take over what has changed in the real study since the last time."""
        memory, storage = self.study._storage, self.real._storage
        for key, value in storage.get_study_system_attrs(self.real._study_id).items():
            if not key.startswith(PREFIX):  # what a sampler keeps for itself
                memory.set_study_system_attr(self.study._study_id, key, value)
        for trial in trials:
            if trial.number in self._done or SCHEDULE not in trial.system_attrs:
                continue  # known already, or not yet sampled to its end
            mine = self._ids.get(trial.number)
            if mine is None:
                mine = memory.create_new_trial(self.study._study_id, template_trial=_shown(trial))
                self._ids[trial.number] = mine
            elif trial.state.is_finished():
                for step, value in _shown(trial).intermediate_values.items():
                    memory.set_trial_intermediate_value(mine, step, value)
                memory.set_trial_state_values(mine, trial.state, trial.values)
            if trial.state.is_finished():
                self._done.add(trial.number)

    def sample(self, plan: Plan, number: int) -> tuple[FrozenTrial, Schedule]:
        """Sample the trial of a number; it stays in the mirror, as running."""
        self.sampler.prepare(number)
        trial = self.study.ask()
        schedule = suggest_schedule(trial, plan.space)
        self._ids[number] = trial._trial_id
        return self.study._storage.get_trial(trial._trial_id), schedule

    def keep_for_sampler(self) -> None:
        """Store what the sampler has kept in the mirror's study (a QMC sequence's position)."""
        memory, storage = self.study._storage, self.real._storage
        known = storage.get_study_system_attrs(self.real._study_id)
        for key, value in memory.get_study_system_attrs(self.study._study_id).items():
            if known.get(key) != value:
                storage.set_study_system_attr(self.real._study_id, key, value)


def _shown(trial: FrozenTrial) -> FrozenTrial:
    """Show the sampler a trial as it should see it.

    An unfinished one as running: one that waits, the mirror would hand out itself. A diverged one
    without the values that it reported: TPE ranks a pruned trial by the last of them.
    """
    diverged = bool(read_result(trial).get("diverged"))
    if trial.state.is_finished() and not (diverged and trial.state == TrialState.PRUNED):
        return trial
    return create_trial(
        state=trial.state if trial.state.is_finished() else TrialState.RUNNING,
        params=trial.params,
        distributions=trial.distributions,
        system_attrs=trial.system_attrs,
        intermediate_values={} if diverged else trial.intermediate_values,
    )


@dataclass
class Asker:
    """Hands out batches of trials until the run has its total.

    Args:
        study: the run's study.
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
        search = self.plan.config.search
        sampler = SeededByTrial(search.sampler, search.sampler_args, self.plan.config.seed)
        self._mirror = Mirror(self.study, sampler)

    def ask(self) -> tuple[list[Asked], list[int]]:
        """Return a batch (none: the run has its total), and the trials that a dead process left."""
        with self.lock:
            left = self._reclaim()
            self.trials = trials = self.study.get_trials(deepcopy=False)
            taken = sum(t.state in (*FINISHED, TrialState.RUNNING) for t in trials)
            room = min(self.plan.config.trials - taken, self.plan.config.search.batch)
            batch = self._retake(trials, room)
            if len(batch) < room:
                self._mirror.update(trials)
                batch += self._create(room - len(batch))
                self._mirror.keep_for_sampler()
            return self._within_total(batch), left

    def _reclaim(self) -> list[int]:
        """Put trials whose owner died back into the queue, under their own number."""
        left = []
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            # read again: another machine may have taken it since
            if abandoned(trial) and abandoned(self.study._storage.get_trial(trial._trial_id)):
                release(self.study._storage, trial._trial_id)
                left.append(trial.number)
        return left

    def _retake(self, trials: list[FrozenTrial], room: int) -> list[Asked]:
        """Take waiting trials: each goes to the one process that sets it running first."""
        batch: list[Asked] = []
        for trial in trials:
            if trial.state != TrialState.WAITING or len(batch) >= room:
                continue
            try:
                won = self.study._storage.set_trial_state_values(
                    trial._trial_id, TrialState.RUNNING
                )
            except UpdateFinishedTrialError:
                continue
            if won:
                self.leases.take(trial._trial_id, trial.user_attrs)
                batch.append(Asked(trial._trial_id, trial.number, self._schedule_of(trial)))
        return batch

    def _schedule_of(self, trial: FrozenTrial) -> Schedule:
        """Return a waiting trial's schedule; one that a person enqueued is sampled now."""
        schedule = read_schedule(trial)
        if schedule is None:  # also where a process died between creating and sampling
            live = optuna.Trial(self.study, trial._trial_id)
            schedule = suggest_schedule(live, self.plan.space)
            self.study._storage.set_trial_system_attr(trial._trial_id, SCHEDULE, schedule.to_dict())
        return schedule

    def _create(self, count: int) -> list[Asked]:
        """Create trials, each sampled by the number that the storage gives it."""
        storage, batch = self.study._storage, []
        for _ in range(count):
            template = create_trial(state=TrialState.RUNNING, user_attrs=self.leases.first_attrs())
            trial_id = storage.create_new_trial(self.study._study_id, template_trial=template)
            self.leases.hold(trial_id)
            number = storage.get_trial_number_from_id(trial_id)
            sampled, schedule = self._mirror.sample(self.plan, number)
            for name, value in sampled.params.items():
                distribution = sampled.distributions[name]
                internal = distribution.to_internal_repr(value)
                storage.set_trial_param(trial_id, name, internal, distribution)
            for name, value in (sampled.system_attrs | {SCHEDULE: schedule.to_dict()}).items():
                storage.set_trial_system_attr(trial_id, name, value)
            batch.append(Asked(trial_id, number, schedule))
        return batch

    def _within_total(self, batch: list[Asked]) -> list[Asked]:
        """Give back the trials beyond the run's total, asked by two processes at one moment."""
        trials = self.study.get_trials(deepcopy=False)
        kept = []
        for asked in batch:
            earlier = sum(t.number < asked.number and t.state != TrialState.FAIL for t in trials)
            if earlier < self.plan.config.trials:
                kept.append(asked)
            else:
                self.leases.drop(asked.trial_id)
                release(self.study._storage, asked.trial_id)
        return kept
