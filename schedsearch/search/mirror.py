"""Mirror: a copy of a study's trials in memory, where new trials are sampled.

Optuna's RDB storage reads all unfinished trials anew at every single suggestion; memory does not.
And a sampler that learns from part of the trials is shown part of them: the time that TPE takes
grows with the trials that it sees, although its good trials are never more than 25.
"""

import copy
from collections.abc import Container, Sequence
from dataclasses import dataclass, field

import optuna
from optuna.distributions import FloatDistribution
from optuna.storages import InMemoryStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from schedsearch.compat import FIXED_PARAMS, OF_DASHBOARD, storage_of, study_id_of, trial_id_of
from schedsearch.schedules.schedule import Schedule
from schedsearch.schedules.space import suggest_schedule
from schedsearch.search.plan import SubSearch
from schedsearch.search.samplers import SeededByTrial, find_sampler
from schedsearch.store.records import FINISHED, PREFIX, SCHEDULE, read_result

PEAK_LR = "peak_lr"  # the name of the parameter
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
        part: what the study searches.
    """

    real: Study
    part: SubSearch
    study: Study = field(init=False)
    _sampler: SeededByTrial = field(init=False)
    _memory: _Memory = field(init=False, default_factory=_Memory)
    _ids: dict[int, int] = field(init=False, default_factory=dict)  # number -> id in the mirror
    _done: set[int] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        sampling = self.part.sampling
        self._sampler = SeededByTrial(sampling.sampler, sampling.args, sampling.seed)
        self.study = optuna.create_study(
            storage=self._memory, sampler=self._sampler, direction=self.real.direction
        )

    def update(self, trials: list[FrozenTrial]) -> None:
        """Take over what has changed in the real study since the last time."""
        memory, storage = self._memory, storage_of(self.real)
        for key, value in storage.get_study_system_attrs(study_id_of(self.real)).items():
            if not key.startswith((PREFIX, *OF_DASHBOARD)):  # what a sampler keeps for itself
                memory.set_study_system_attr(study_id_of(self.study), key, value)
        for trial in trials:
            if trial.number in self._done or SCHEDULE not in trial.system_attrs:
                continue  # known already, or not yet sampled to its end
            mine = self._ids.get(trial.number)
            if mine is None:
                template = _at_rates(_shown(trial), self._rates)
                mine = memory.create_new_trial(study_id_of(self.study), template_trial=template)
                self._ids[trial.number] = mine
            elif trial.state.is_finished():
                for step, value in _shown(trial).intermediate_values.items():
                    memory.set_trial_intermediate_value(mine, step, value)
                memory.set_trial_state_values(mine, trial.state, trial.values)
            if trial.state.is_finished():
                self._done.add(trial.number)
        self._sampler.learned()
        if find_sampler(self.part.sampling.sampler).learns_from_part:
            self._memory.view = self._view()

    @property
    def _rates(self) -> FloatDistribution:
        """The distribution of peak rates that trials are drawn from now."""
        rate = self.part.space.peak_lr
        return FloatDistribution(rate.low, rate.high, log=rate.log)

    def _view(self) -> list[FrozenTrial]:
        """Return the trials that a sampler sees which learns from part; the running ones always.

        The view follows from the trials alone: whoever goes on with a study sees the same.
        """
        trials = InMemoryStorage.get_all_trials(
            self._memory, study_id_of(self.study), deepcopy=False
        )
        finished = [t for t in trials if t.state in FINISHED]
        seen = visible(finished, self.part.sampling.history, self.study.direction)
        return [
            _bare(trial)
            for trial in trials
            if trial.number in seen or trial.state == TrialState.RUNNING
        ]

    def sample(self, number: int, begun: FrozenTrial | None = None) -> tuple[FrozenTrial, Schedule]:
        """Sample the trial of a number; it stays in the mirror, as running.

        A trial that was begun keeps the parameters that it has, and those that a person who
        enqueued it gave.
        """
        if begun is not None:
            self.study.enqueue_trial(begun.system_attrs.get(FIXED_PARAMS, {}) | begun.params)
        self._sampler.prepare(number)
        trial = self.study.ask()
        schedule = suggest_schedule(trial, self.part.space)
        self._ids[number] = trial_id_of(trial)
        drawn = self._memory.get_trial(trial_id_of(trial))
        if self._memory.view is not None:
            self._memory.view.append(_bare(drawn))
        return drawn, schedule

    def forget(self, number: int) -> None:
        """Drop what was sampled for a trial that another process has by now and draws anew."""
        self._memory.set_trial_state_values(self._ids.pop(number), TrialState.FAIL)

    def keep_for_sampler(self) -> None:
        """Store what the sampler has kept in the mirror's study (a QMC sequence's position)."""
        storage = storage_of(self.real)
        known = storage.get_study_system_attrs(study_id_of(self.real))
        for key, value in self._memory.get_study_system_attrs(study_id_of(self.study)).items():
            if known.get(key) != value:
                storage.set_study_system_attr(study_id_of(self.real), key, value)


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
    """Return a trial without attributes: TPE looks through them again for each parameter."""
    bare = copy.copy(trial)
    bare.system_attrs, bare.user_attrs = {}, {}
    return bare


def _shown(trial: FrozenTrial) -> FrozenTrial:
    """Return a trial as the sampler should see it.

    An unfinished trial is shown as running: one that waits, the mirror would hand out itself. A
    diverged trial is shown without the values that it reported: TPE ranks a pruned trial by the
    last of them.
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


def _at_rates(trial: FrozenTrial, rates: FloatDistribution) -> FrozenTrial:
    """Return a trial as if its peak rate had been drawn from the range that is searched now.

    Samplers learn from trials with equal distributions only. What a sampler has kept with a trial
    (the state of CMA-ES) belongs to the range of then, and is left out.
    """
    drawn = trial.distributions.get(PEAK_LR)
    if drawn is None or drawn == rates or not rates.low <= trial.params[PEAK_LR] <= rates.high:
        return trial
    shown = copy.copy(trial)
    shown.distributions = trial.distributions | {PEAK_LR: rates}
    ours = (PREFIX, FIXED_PARAMS)
    shown.system_attrs = {k: v for k, v in trial.system_attrs.items() if k.startswith(ours)}
    return shown
