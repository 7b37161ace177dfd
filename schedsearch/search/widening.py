"""Widening: a range of peak rates grows by a decade on the side where the best trial lies, once.

It is decided where a cohort is drawn and half of the trials are over, by the process that comes
first; all others, and whoever goes on with the run, search the same range. The run's identity stays
what it was: the rest of the search, and the tuning of the baselines, look further.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from schedsearch.compat import storage_of, study_id_of
from schedsearch.search.events import Note
from schedsearch.store.ranking import best_trial
from schedsearch.store.records import FINISHED, PREFIX, read_schedule

if TYPE_CHECKING:
    from schedsearch.objective import Objective
    from schedsearch.search.context import Context
    from schedsearch.store.queue import Queue

WIDENED = "widened"  # an attribute of a run, behind the prefix
_DECADE = 10.0
_SHARE = 0.25  # of the families of a run in rank mode whose best trials must lie at one edge

Side = Literal["lower", "upper"]


def near_an_edge(value: float, low: float, high: float) -> Side | None:
    """Return the edge that a value is close to: the outer twentieth of a range, on a log scale.

    >>> near_an_edge(0.29, 0.003, 0.3), near_an_edge(0.1, 0.003, 0.3), near_an_edge(1, 1, 1)
    ('upper', None, None)
    """
    if not 0 < low < high:
        return None
    part = math.log(value / low) / math.log(high / low)
    return "upper" if part > 0.95 else "lower" if part < 0.05 else None


@dataclass(frozen=True)
class Widened:
    """A range of peak rates that has grown.

    Args:
        low: the lowest rate now.
        high: the highest rate now.
        was_low: the lowest rate before.
        was_high: the highest rate before.
        side: where it has grown.
        after: the trials that were over by then.
    """

    low: float
    high: float
    was_low: float
    was_high: float
    side: Side
    after: int

    @property
    def rates(self) -> tuple[float, float]:
        """The lowest and the highest rate now."""
        return self.low, self.high

    def sentence(self) -> str:
        """Return what was done, and why, in one line."""
        return (
            f"after {self.after} trials the best peak rate lay at the {self.side} edge of "
            f"{self.was_low:g} to {self.was_high:g}: since then {self.low:g} to {self.high:g} are "
            "searched"
        )


def stored_widening(attributes: Mapping[str, Any]) -> Widened | None:
    """Return how a run's range has grown, from the run's attributes; None: it has not."""
    stored = attributes.get(WIDENED)
    return None if stored is None else Widened(**stored)


def widened_for(best: Sequence[float], low: float, high: float, after: int) -> Widened | None:
    """Return a range that has grown a decade towards the best rates; None: they lie inside.

    Args:
        best: the peak rate of the best trial; in rank mode that of each family's, of which a
            quarter must lie at one edge.
        low: the lowest rate searched.
        high: the highest rate searched.
        after: the trials that are over.

    >>> widened_for([0.29], 0.003, 0.3, after=32).high
    3.0
    >>> widened_for([0.05], 0.003, 0.3, after=32) is None
    True
    """
    at = [near_an_edge(rate, low, high) for rate in best]
    upper, lower = at.count("upper"), at.count("lower")
    if max(upper, lower) < max(1.0, _SHARE * len(best)):
        return None
    if upper >= lower:
        return Widened(low, _rounded(high * _DECADE), low, high, "upper", after)
    return Widened(_rounded(low / _DECADE), high, low, high, "lower", after)


def _rounded(rate: float) -> float:
    return float(f"{rate:.6g}")


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
