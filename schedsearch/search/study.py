"""The search: ask a batch of trials, train them, tell what came out; resume where it stopped."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.exceptions import DuplicatedStudyError, UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from schedsearch.errors import RunError
from schedsearch.schedules import Schedule, suggest_schedule
from schedsearch.search.events import Event, Note, OnEvent, Started, Trained
from schedsearch.search.plan import Plan
from schedsearch.search.pruners import make_pruner
from schedsearch.search.samplers import READ_COMPLETE_ONLY, make_sampler
from schedsearch.storage.best import best_trial
from schedsearch.storage.owners import Leases, abandoned, release
from schedsearch.storage.place import Place
from schedsearch.storage.provenance import provenance
from schedsearch.storage.records import PREFIX, read_result, result_of, write_result, write_schedule
from schedsearch.training import Curve, Evaluation, train

_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass
class Clock:
    """Where the seconds of a search went: what is not training is the harness's."""

    training: float = 0.0
    sampling: float = 0.0
    storing: float = 0.0
    trials: int = 0
    _open: list[str] = field(default_factory=list)

    @contextmanager
    def measure(self, part: str) -> Iterator[None]:
        """Add the time of a block to a part; a block inside another counts for itself alone."""
        started = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - started
            setattr(self, part, getattr(self, part) + seconds)
            if self._open:
                setattr(self, self._open[-1], getattr(self, self._open[-1]) - seconds)

    @contextmanager
    def around_training(self) -> Iterator[None]:
        """Measure training; what is stored meanwhile is taken out of it."""
        with self.measure("training"):
            self._open.append("training")
            try:
                yield
            finally:
                self._open.pop()


def open_study(storage: RDBStorage, place: Place, plan: Plan) -> Study:
    """Create the run's study, or load it when it was made with the same plan.

    Raises:
        RunError: the run was made with another search space, task or horizon.
    """
    search = plan.config.search
    sampler = make_sampler(search.sampler, search.sampler_args, plan.config.seed)
    pruner = make_pruner(search.pruner, search.pruner_args)
    minimizes = search.objective == "val_loss"
    direction = StudyDirection.MINIMIZE if minimizes else StudyDirection.MAXIMIZE
    try:
        study = optuna.create_study(
            storage=storage,
            sampler=sampler,
            pruner=pruner,
            study_name=place.name,
            direction=direction,
        )
        _describe(storage, study, place, plan)
    except DuplicatedStudyError:
        study = optuna.load_study(
            study_name=place.name, storage=storage, sampler=sampler, pruner=pruner
        )
        _compare(storage, study, plan)
    storage.set_study_system_attr(
        study._study_id, f"{PREFIX}config", plan.config.model_dump(mode="json")
    )
    return study


def _describe(storage: RDBStorage, study: Study, place: Place, plan: Plan) -> None:
    def write(key: str, value: Any) -> None:
        storage.set_study_system_attr(study._study_id, f"{PREFIX}{key}", value)

    write("provenance", provenance(plan.task.device))
    write("fingerprint", plan.space.fingerprint())
    write("seeds", {"study": plan.config.seed, "training": plan.seed})
    write("run", place.name)
    write("identity", plan.identity())  # last: who loads the study waits for it


def _compare(storage: RDBStorage, study: Study, plan: Plan) -> None:
    """Refuse to mix trials of two different questions in one study."""
    for _ in range(50):
        attrs = storage.get_study_system_attrs(study._study_id)
        if f"{PREFIX}identity" in attrs:
            break
        time.sleep(0.1)  # another process has just created it
    else:
        raise RunError(
            f"the storage has a study {study.study_name!r} that is none of schedsearch's: "
            "choose another name (name = ... in the study file, or --name)"
        )
    was, now = attrs[f"{PREFIX}identity"], plan.identity()
    changes = [
        f"{key}: {was.get(key)!r} -> {now.get(key)!r}"
        for key in sorted(was.keys() | now.keys())
        if was.get(key) != now.get(key)
    ]
    if changes:
        shown = "; ".join(changes[:4]) + (f"; and {len(changes) - 4} more" * (len(changes) > 4))
        raise RunError(
            f"the run {study.study_name!r} was made with another study ({shown}): give this one "
            "another name (--name), or take the change back; more --trials is always allowed"
        )


def search(study: Study, plan: Plan, on_event: OnEvent) -> Clock:
    """Train trials until the run has its total of finished ones (or others train the last)."""
    storage, clock = study._storage, Clock()
    finished = sum(t.state in _FINISHED for t in study.get_trials(deepcopy=False))
    on_event(Started(study.study_name, finished, plan.config.trials))
    with Leases(storage) as leases:
        while True:
            with clock.measure("sampling"):
                _reclaim(study, on_event)
                batch = _ask(study, plan, leases)
            if not batch:
                break
            _Batch(study, plan, leases, clock, on_event, batch).train()
    running = [t for t in study.get_trials(deepcopy=False) if t.state == TrialState.RUNNING]
    if running:
        on_event(Note(f"{len(running)} trials are still being trained by other processes"))
    return clock


def _reclaim(study: Study, on_event: OnEvent) -> None:
    """Put trials whose owner died back into the queue, under their own number."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if abandoned(trial) and abandoned(study._storage.get_trial(trial._trial_id)):
            release(study._storage, trial._trial_id)
            on_event(Note(f"trial {trial.number} was left by a process that ended: trained again"))


def _ask(study: Study, plan: Plan, leases: Leases) -> list[tuple[Trial, Schedule]]:
    """Ask for a batch of trials, and let each sample its schedule."""
    total = plan.config.trials
    taken = (*_FINISHED, TrialState.RUNNING)
    room = total - sum(t.state in taken for t in study.get_trials(deepcopy=False))
    batch: list[tuple[Trial, Schedule]] = []
    for _ in range(min(room, plan.config.search.batch)):
        trial = study.ask()
        leases.take(trial._trial_id, trial.user_attrs)
        if _earlier(study, trial.number) >= total:  # another process asked at the same moment
            leases.drop(trial._trial_id)
            release(study._storage, trial._trial_id)
            break
        schedule = suggest_schedule(trial, plan.space)
        write_schedule(study._storage, trial._trial_id, schedule)
        batch.append((trial, schedule))
    return batch


def _earlier(study: Study, number: int) -> int:
    trials = study.get_trials(deepcopy=False)
    return sum(t.number < number and t.state != TrialState.FAIL for t in trials)


@dataclass
class _Batch:
    """Trials that are trained together."""

    study: Study
    plan: Plan
    leases: Leases
    clock: Clock
    on_event: OnEvent
    trials: list[tuple[Trial, Schedule]]

    def train(self) -> None:
        prunes = self.plan.config.search.pruner != "none"
        with self.clock.around_training():
            train(
                self.plan.task,
                [schedule for _, schedule in self.trials],
                total_steps=self.plan.total_steps,
                seed=self.plan.seed,
                eval_steps=self.plan.eval_steps,
                optimizer=self.plan.optimizer,
                diverge_factor=self.plan.config.training.diverge_factor,
                on_eval=self._report if prunes else None,
                on_end=self._end,
            )

    def _report(self, index: int, row: Evaluation) -> bool:
        """Report a value at its step; True when the pruner wants the trial to stop."""
        trial, _ = self.trials[index]
        with self.clock.measure("storing"):
            trial.report(getattr(row, self.plan.config.search.objective), step=row.step)
            return row.step < self.plan.total_steps and trial.should_prune()

    def _end(self, index: int, curve: Curve) -> None:
        with self.clock.measure("storing"):
            self._store(index, curve)

    def _store(self, index: int, curve: Curve) -> None:
        trial, schedule = self.trials[index]
        storage, objective = self.study._storage, self.plan.config.search.objective
        result = result_of(curve, self.plan.task.target_accuracy)
        try:
            write_result(storage, trial._trial_id, curve, result)
            if not (curve.diverged or curve.stopped):
                self.study.tell(trial, result[objective])
            elif curve.diverged and self.plan.config.search.sampler in READ_COMPLETE_ONLY:
                self.study.tell(trial, self._penalty(curve))
            else:
                self.study.tell(trial, state=TrialState.PRUNED)
        except (UpdateFinishedTrialError, ValueError) as error:
            self.on_event(Note(f"trial {trial.number} was finished elsewhere ({error})"))
        finally:
            self.leases.drop(trial._trial_id)
        self.clock.trials += 1
        state = "diverged" if curve.diverged else "pruned" if curve.stopped else "finished"
        self.on_event(self._event(trial.number, state, schedule.family, curve, result[objective]))

    def _penalty(self, curve: Curve) -> float:
        """Give the bound that no other trial's value is beyond."""
        if self.plan.config.search.objective == "val_accuracy":
            return 0.0
        return self.plan.config.training.diverge_factor * curve.initial_loss

    def _event(self, number: int, state: str, family: str, curve: Curve, value: float) -> Event:
        trials = self.study.get_trials(deepcopy=False)
        objective = self.plan.config.search.objective
        best = best_trial(trials, objective)
        return Trained(
            trial=number,
            state=state,
            family=family,
            value=value,
            finished=sum(t.state in _FINISHED for t in trials),
            total=self.plan.config.trials,
            best_value=None if best is None else read_result(best)[objective],
            best_family=None if best is None else _family(best),
            seconds=curve.final.seconds,
        )


def _family(trial: FrozenTrial) -> str:
    return str(trial.system_attrs[f"{PREFIX}schedule"]["family"])
