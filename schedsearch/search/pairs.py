"""Train schedules on seeds, each pair as one trial of a confirmation's study.

Each trial has an owner and a lease as in the search: what was interrupted goes on, and several
processes share the work.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field

from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from schedsearch.schedules import Schedule
from schedsearch.search.events import Confirming, OnEvent
from schedsearch.search.meter import Meter
from schedsearch.search.plan import Plan
from schedsearch.search.results import WAIT_SECONDS
from schedsearch.storage.bulk import Ended, Sampled, create_running, write_results, write_sampled
from schedsearch.storage.finalists import SEED, Pair, by_pair, pair_of
from schedsearch.storage.owners import Leases, abandoned, release
from schedsearch.storage.records import FINISHED, SCHEDULE, result_of, system_attrs, user_attrs
from schedsearch.training import Curve, Engine, Evaluation

ChooseEngine = Callable[[int, bool], Engine]
"""Gives an engine for so many runs, and whether each has a seed of its own."""

_TAKEN = (*FINISHED, TrialState.RUNNING)
_BLANK_SECONDS = 0.2  # between two looks at trials that somebody is just creating


@dataclass(frozen=True)
class Wanted:
    """A schedule that is to be trained on a seed."""

    schedule: Schedule
    seed: int

    @property
    def pair(self) -> Pair:
        """What its trial is found by."""
        return self.schedule.to_json(), self.seed


@dataclass
class Crew:
    """Trains pairs of a schedule and a seed that nobody has trained, and stores what they gave."""

    book: Study
    plan: Plan
    leases: Leases
    choose_engine: ChooseEngine
    lock: AbstractContextManager[object]
    on_event: OnEvent
    trials: list[FrozenTrial] = field(default_factory=list)
    _engine: Engine | None = None
    _waiting: list[tuple[int, Curve]] = field(default_factory=list)
    _written: float = 0.0

    def train(self, wanted: Sequence[Wanted], what: str, after: int = 0) -> bool:
        """Train what is missing; False while other processes still train some of it.

        Args:
            wanted: what is to be there at the end.
            what: what is done, in words.
            after: the optimizer steps that are planned for after this.
        """
        meter = Meter(self.on_event, after)
        pairs = {each.pair for each in wanted}
        told = False
        self._choose(wanted)
        while True:
            batch = self._ask(wanted)
            done = len(pairs & self.ended().keys())
            if not batch:
                return done == len(pairs)
            if not told:
                self.on_event(Confirming(what, done, len(pairs)))
                told = True
            total_steps, others = self.plan.total_steps, len(pairs) - done - len(batch)
            meter.begin(len(batch), total_steps, max(0, others) * total_steps)
            self._train(batch, what, done, len(pairs), meter)

    def ended(self) -> dict[Pair, FrozenTrial]:
        """Return the trials that have ended, by what they trained."""
        return by_pair([t for t in self.trials if t.state in FINISHED])

    def _choose(self, wanted: Sequence[Wanted]) -> None:
        """Choose the engine where there is something to train; that may take a while."""
        self.trials = self.book.get_trials(deepcopy=False)
        ended = self.ended()
        missing = [each for each in wanted if each.pair not in ended]
        if missing:
            own = len({each.seed for each in missing}) > 1
            self._engine = self.choose_engine(len(missing), own)

    @property
    def _chosen(self) -> Engine:
        assert self._engine is not None
        return self._engine

    def _ask(self, wanted: Sequence[Wanted]) -> list[tuple[int, Wanted]]:
        """Take what waits, then create what is missing; as much as the engine trains at once."""
        with self.lock:
            while True:
                self.trials = self.book.get_trials(deepcopy=False)
                if self._reclaim():
                    continue
                if any(t.state == TrialState.RUNNING and pair_of(t) is None for t in self.trials):
                    time.sleep(_BLANK_SECONDS)  # another machine is about to say what they are
                    continue
                taken = by_pair([t for t in self.trials if t.state in _TAKEN])
                missing = {w.pair: w for w in wanted if w.pair not in taken}
                if not missing:
                    return []
                most = max(self._chosen.stack, self.plan.config.batch)
                batch = self._retake(missing, most)
                new = list(missing.values())[: most - len(batch)]
                created = self._create(new)
                if created is not None:
                    return batch + created

    def _reclaim(self) -> bool:
        """Put trials whose owner died back into the queue; blank ones are given up."""
        storage, found = self.book._storage, False
        for trial in self.trials:
            if trial.state == TrialState.RUNNING and abandoned(trial):
                found = True
                with suppress(UpdateFinishedTrialError):
                    release(storage, trial._trial_id)
            elif trial.state == TrialState.WAITING and pair_of(trial) is None:
                found = True
                with suppress(UpdateFinishedTrialError):
                    storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
        return found

    def _retake(self, missing: dict[Pair, Wanted], most: int) -> list[tuple[int, Wanted]]:
        """Take waiting trials out of what is missing."""
        storage = self.book._storage
        taken: list[tuple[int, Wanted]] = []
        for trial in self.trials:
            pair = pair_of(trial)
            if trial.state != TrialState.WAITING or pair not in missing or len(taken) == most:
                continue
            with suppress(UpdateFinishedTrialError):
                if storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING):
                    self.leases.take(trial._trial_id, trial.user_attrs)
                    taken.append((trial._trial_id, missing.pop(pair)))
        return taken

    def _create(self, new: Sequence[Wanted]) -> list[tuple[int, Wanted]] | None:
        """Create trials; None when another machine created some between our look and this."""
        storage, attrs = self.book._storage, self.leases.first_attrs()
        total = sum(t.state != TrialState.FAIL for t in self.trials) + len(new)
        created = create_running(storage, self.book._study_id, attrs, len(new), total)
        if len(created) < len(new):
            for trial_id, _ in created:
                storage.set_trial_state_values(trial_id, TrialState.FAIL)
            return None
        for trial_id, _ in created:
            self.leases.hold(trial_id)
        batch = [(trial_id, each) for (trial_id, _), each in zip(created, new, strict=True)]
        rows = [
            Sampled(i, {}, {}, {SCHEDULE: w.schedule.to_dict(), SEED: w.seed}) for i, w in batch
        ]
        write_sampled(storage, rows, self.leases.owner)
        return batch

    def _train(
        self,
        batch: Sequence[tuple[int, Wanted]],
        what: str,
        done: int,
        total: int,
        meter: Meter,
    ) -> None:
        def keep(index: int, curve: Curve) -> None:
            nonlocal done
            done += 1
            meter.end(index)
            self._waiting.append((batch[index][0], curve))
            self._write_if_due()
            self.on_event(Confirming(what, done, total))

        def go_on(index: int, row: Evaluation) -> bool:
            meter.at(index, row.step)
            self._write_if_due()
            return False

        try:
            self._chosen.train(
                self.plan.task,
                [each.schedule for _, each in batch],
                total_steps=self.plan.total_steps,
                seed=[each.seed for _, each in batch],
                eval_steps=self.plan.eval_steps,
                optimizer=self.plan.optimizer,
                diverge_factor=self.plan.config.training.diverge_factor,
                on_eval=go_on,
                on_end=keep,
            )
        finally:  # what has ended is kept, also when the rest is interrupted
            self._write()

    def _write_if_due(self) -> None:
        if self._waiting and time.monotonic() - self._written >= WAIT_SECONDS:
            self._write()

    def _write(self) -> None:
        waiting, self._waiting = self._waiting, []
        rows = [self._row(trial_id, curve) for trial_id, curve in waiting]
        write_results(self.book._storage, rows, self.leases.owner)
        self._written = time.monotonic()
        for trial_id, _ in waiting:
            self.leases.drop(trial_id)

    def _row(self, trial_id: int, curve: Curve) -> Ended:
        result = result_of(curve, self.plan.task.target_accuracy)
        state, value = TrialState.COMPLETE, result[self.plan.config.search.objective]
        if curve.diverged:
            state, value = TrialState.PRUNED, None
        return Ended(trial_id, state, value, system_attrs(curve, result), user_attrs(result))
