"""Mirror: a study's trials in memory, where new ones are sampled.

Optuna's RDB storage reads all unfinished trials anew at every single suggestion; memory does not.
And a sampler that learns from part of the trials is shown part of them: TPE's time grows with what
it sees, although its good trials are never more than 25.
"""

import copy
from collections.abc import Container, Sequence
from dataclasses import dataclass, field

import optuna
from optuna.storages import InMemoryStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from schedsearch.schedules import Schedule, suggest_schedule
from schedsearch.search.plan import Plan
from schedsearch.search.samplers import LEARN_FROM_PART, SeededByTrial
from schedsearch.storage.records import FINISHED, OF_DASHBOARD, PREFIX, SCHEDULE, read_result

GOOD = 25  # as many good trials as TPE ever tells from the rest


class _Memory(InMemoryStorage):
    """Trials in memory; where there is a view of them, it is what a sampler sees."""

    view: list[FrozenTrial] | None = None

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        if self.view is None or states == (TrialState.WAITING,):  # one that waits is handed out
            return super().get_all_trials(study_id, deepcopy, states)
        trials = [trial for trial in self.view if states is None or trial.state in states]
        return copy.deepcopy(trials) if deepcopy else trials


@dataclass
class Mirror:
    """A study's trials in memory, for the sampler; brought up to date before each batch.

    Args:
        real: the study in the storage.
        plan: what it does.
    """

    real: Study
    plan: Plan
    study: Study = field(init=False)
    _sampler: SeededByTrial = field(init=False)
    _memory: _Memory = field(init=False, default_factory=_Memory)
    _ids: dict[int, int] = field(init=False, default_factory=dict)  # number -> id in the mirror
    _done: set[int] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        search = self.plan.config.search
        self._sampler = SeededByTrial(search.sampler, search.sampler_args, self.plan.config.seed)
        self.study = optuna.create_study(
            storage=self._memory, sampler=self._sampler, direction=self.real.direction
        )

    def update(self, trials: list[FrozenTrial]) -> None:
        """Take over what has changed in the real study since the last time."""
        memory, storage = self._memory, self.real._storage
        for key, value in storage.get_study_system_attrs(self.real._study_id).items():
            if not key.startswith((PREFIX, *OF_DASHBOARD)):  # what a sampler keeps for itself
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
        self._sampler.learned()
        if self.plan.config.search.sampler in LEARN_FROM_PART:
            self._memory.view = self._view()

    def _view(self) -> list[FrozenTrial]:
        """Give what a sampler sees that learns from part: also the running trials, always.

        It follows from the trials alone: whoever goes on with a study sees the same.
        """
        trials = InMemoryStorage.get_all_trials(self._memory, self.study._study_id, deepcopy=False)
        finished = [t for t in trials if t.state in FINISHED]
        seen = visible(finished, self.plan.config.search.history, self.study.direction)
        return [
            _bare(trial)
            for trial in trials
            if trial.number in seen or trial.state == TrialState.RUNNING
        ]

    def sample(self, number: int, begun: FrozenTrial | None = None) -> tuple[FrozenTrial, Schedule]:
        """Sample the trial of a number; it stays in the mirror, as running.

        What a begun trial has, or what a person who enqueued it gave it, it keeps.
        """
        if begun is not None:
            self.study.enqueue_trial(begun.system_attrs.get("fixed_params", {}) | begun.params)
        self._sampler.prepare(number)
        trial = self.study.ask()
        schedule = suggest_schedule(trial, self.plan.space)
        self._ids[number] = trial._trial_id
        drawn = self._memory.get_trial(trial._trial_id)
        if self._memory.view is not None:
            self._memory.view.append(_bare(drawn))
        return drawn, schedule

    def forget(self, number: int) -> None:
        """Drop what was sampled for a trial that is somebody else's by now, who draws it anew."""
        self._memory.set_trial_state_values(self._ids.pop(number), TrialState.FAIL)

    def keep_for_sampler(self) -> None:
        """Store what the sampler has kept in the mirror's study (a QMC sequence's position)."""
        storage = self.real._storage
        known = storage.get_study_system_attrs(self.real._study_id)
        for key, value in self._memory.get_study_system_attrs(self.study._study_id).items():
            if known.get(key) != value:
                storage.set_study_system_attr(self.real._study_id, key, value)


def visible(finished: Sequence[FrozenTrial], history: int, direction: StudyDirection) -> set[int]:
    """Choose which finished trials a sampler sees: the best, and evenly spread others (0: all).

    The rest is there to be told from the best: an even part of it has the same spread.
    """
    if not history or len(finished) <= history:
        return {trial.number for trial in finished}
    ranked = sorted(finished, key=lambda trial: _rank(trial, direction))
    best = {trial.number for trial in ranked[: min(GOOD, history)]}
    rest = [trial.number for trial in finished if trial.number not in best]
    count = history - len(best)
    return best | {rest[i * len(rest) // count] for i in range(count)}


def _rank(trial: FrozenTrial, direction: StudyDirection) -> tuple[bool, int, float]:
    """Rank as TPE does: complete trials by their value, then pruned ones, the longest first."""
    sign = -1.0 if direction == StudyDirection.MAXIMIZE else 1.0
    if trial.state == TrialState.COMPLETE and trial.value is not None:
        return False, 0, sign * trial.value
    if not trial.intermediate_values:
        return True, 1, 0.0
    step, value = max(trial.intermediate_values.items())
    return True, -step, sign * value


def _bare(trial: FrozenTrial) -> FrozenTrial:
    """Give a trial without attributes, through which TPE looks again for each parameter."""
    bare = copy.copy(trial)
    bare.system_attrs, bare.user_attrs = {}, {}
    return bare


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
