"""Widening: a range of peak rates grows by a decade on the side where the best trial lies, once.

It is decided where a cohort is drawn and half of the trials are over, by the process that comes
first; all others, and whoever goes on with the run, search the same range. The run's identity stays
what it was: the rest of the search, and the tuning of the baselines, look further.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from schedsearch.compat import storage_of, study_id_of
from schedsearch.search.events import Note
from schedsearch.search.widened import WIDENED, Widened, stored_widening, widened_for
from schedsearch.store.ranking import best_trial
from schedsearch.store.records import FINISHED, PREFIX, read_schedule

if TYPE_CHECKING:
    from schedsearch.objective import Objective
    from schedsearch.search.context import Context
    from schedsearch.store.queue import Queue


@dataclass
class Widener:
    """Looks whether the range of a search is to grow, or has grown in another process.

    Args:
        context: what all phases share.
        objective: what ranks trials.
        low: the lowest rate that the run was made with.
        high: the highest rate that the run was made with.
    """

    context: Context
    objective: Objective
    low: float
    high: float
    _found: Widened | None = field(init=False, default=None)

    def look(self, queues: Sequence[Queue], total: int) -> Widened | None:
        """Return the range that has grown; None as long as it has not.

        Args:
            queues: the studies of the search.
            total: the trials of the search.
        """
        if self._found is None:
            with self.context.lock:
                self._found = stored_widening(self.context.run.attributes)
                if self._found is None:
                    self._found = self._decided(queues, total)
            if self._found is not None:
                self.context.on_event(Note(f"peak_lr is widened: {self._found.sentence()}"))
        return self._found

    def _decided(self, queues: Sequence[Queue], total: int) -> Widened | None:
        trials = [queue.study.get_trials(deepcopy=False) for queue in queues]
        over = sum(trial.state in FINISHED for every in trials for trial in every)
        if not total <= 2 * over < 2 * total:
            return None
        best = (best_trial(every, self.objective) for every in trials)
        schedules = [None if trial is None else read_schedule(trial) for trial in best]
        rates = [schedule.peak_lr for schedule in schedules if schedule is not None]
        found = widened_for(rates, self.low, self.high, over)
        if found is not None:
            study, key = self.context.study, f"{PREFIX}{WIDENED}"
            storage_of(study).set_study_system_attr(study_id_of(study), key, asdict(found))
        return found
