"""Draw the trials of a search: those that were left first, then new ones.

New trials are created under the name of their owner; the number that the storage gives a trial
decides its draws, so no two processes draw the same. Then they are sampled in memory, and their
parameters and schedules are written. A trial whose owner died before that is sampled again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from optuna.trial import FrozenTrial, TrialState

from schedsearch.compat import FIXED_PARAMS, trial_id_of
from schedsearch.schedules.schedule import Schedule
from schedsearch.search.mirror import Mirror
from schedsearch.search.plan import SubSearch
from schedsearch.store.queue import Queue
from schedsearch.store.records import SCHEDULE, read_schedule
from schedsearch.store.writing import Sampled


@dataclass(frozen=True)
class Drawn:
    """A trial that this process holds, with its schedule."""

    trial_id: int
    number: int
    schedule: Schedule


@dataclass
class Drawer:
    """Hands out cohorts of the trials of one study until it has its total.

    Args:
        queue: the trials of the study.
        part: what the study searches.
    """

    queue: Queue
    part: SubSearch
    _mirror: Mirror = field(init=False)

    def __post_init__(self) -> None:
        self._mirror = Mirror(self.queue.study, self.part)

    def draw(self) -> tuple[list[Drawn], list[int]]:
        """Return a cohort (none: the total is there), and the trials that a dead process left."""
        with self.queue.lock:
            left = self.queue.look()
            room = min(self.part.trials - self.queue.taken, self.part.batch)
            if room <= 0:
                return [], left
            # a trial that a person enqueued has no schedule yet, nor one whose process died early
            waiting = [(trial, read_schedule(trial)) for trial in self.queue.take(room)]
            self._mirror.update(self.queue.trials)
            begun = [(trial_id_of(t), t.number, t) for t, schedule in waiting if schedule is None]
            cohort = [
                Drawn(trial_id_of(trial), trial.number, schedule)
                for trial, schedule in waiting
                if schedule is not None
            ]
            cohort += self._sample(begun)
            new = self.queue.create(room - len(waiting), self.part.trials)
            cohort += self._sample([(trial_id, number, None) for trial_id, number in new])
            return self._within_total(cohort), left

    def _sample(self, trials: Sequence[tuple[int, int, FrozenTrial | None]]) -> list[Drawn]:
        """Sample trials by their numbers; those that another process took meanwhile are its own."""
        if not trials:
            return []
        cohort, rows = [], []
        for trial_id, number, begun in trials:
            drawn, schedule = self._mirror.sample(number, begun)
            attrs = drawn.system_attrs | {SCHEDULE: schedule.to_dict()}
            attrs.pop(FIXED_PARAMS, None)  # of an enqueued trial, which has them
            rows.append(Sampled(trial_id, drawn.params, drawn.distributions, attrs))
            cohort.append(Drawn(trial_id, number, schedule))
        self._mirror.keep_for_sampler()
        ours = self.queue.describe(rows)
        for each in cohort:
            if each.trial_id not in ours:
                self._mirror.forget(each.number)
        return [each for each in cohort if each.trial_id in ours]

    def _within_total(self, cohort: list[Drawn]) -> list[Drawn]:
        """Give back trials beyond the total, taken by two processes at one moment."""
        total = self.part.trials
        if all(each.number < total for each in cohort):
            return cohort
        trials = self.queue.study.get_trials(deepcopy=False)
        alive = [trial.number for trial in trials if trial.state != TrialState.FAIL]
        within = [each for each in cohort if sum(n < each.number for n in alive) < total]
        self.queue.give_back([each.trial_id for each in cohort if each not in within])
        return within
