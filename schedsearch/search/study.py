"""The search: ask a batch of trials, train them, tell what came out; resume where it stopped."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.exceptions import DuplicatedStudyError, UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from schedsearch.errors import RunError
from schedsearch.search.asking import FINISHED, Asked, Asker
from schedsearch.search.events import Event, Note, OnEvent, Started, Trained
from schedsearch.search.plan import Plan
from schedsearch.search.pruners import make_pruner
from schedsearch.search.samplers import READ_COMPLETE_ONLY, make_sampler
from schedsearch.storage.best import Objective, best_trial, better
from schedsearch.storage.owners import Leases
from schedsearch.storage.place import Place
from schedsearch.storage.provenance import provenance
from schedsearch.storage.records import PREFIX, read_result, read_schedule, result_of, write_result
from schedsearch.training import Curve, Engine, Evaluation

CONFIG = f"{PREFIX}config"


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
        _compare(storage, study, place, plan)
        storage.set_study_system_attr(study._study_id, CONFIG, plan.config.model_dump(mode="json"))
    return study


def _describe(storage: RDBStorage, study: Study, place: Place, plan: Plan) -> None:
    def write(key: str, value: Any) -> None:
        storage.set_study_system_attr(study._study_id, f"{PREFIX}{key}", value)

    write("config", plan.config.model_dump(mode="json"))
    write("provenance", provenance(plan.task.device))
    write("fingerprint", plan.space.fingerprint())
    write("seeds", {"study": plan.config.seed, "training": plan.seed})
    write("run", place.name)
    write("identity", plan.identity())  # last: who loads the study waits for it


def _compare(storage: RDBStorage, study: Study, place: Place, plan: Plan) -> None:
    """Refuse to mix trials of two different questions in one study."""
    for _ in range(50):
        attrs = storage.get_study_system_attrs(study._study_id)
        if f"{PREFIX}identity" in attrs:
            break
        time.sleep(0.1)  # another process has just created it
    else:
        if study.get_trials(deepcopy=False):
            raise RunError(
                f"the storage has a study {study.study_name!r} that is none of schedsearch's: "
                "choose another name (name = ... in the study file, or --name)"
            )
        _describe(storage, study, place, plan)  # whoever created it died before it came to this
        return
    was, now = attrs[f"{PREFIX}identity"], json.loads(json.dumps(plan.identity()))
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


def search(
    study: Study,
    plan: Plan,
    engine: Engine,
    lock: AbstractContextManager[object],
    on_event: OnEvent,
) -> Clock:
    """Train trials until the run has its total of finished ones (or others train the last).

    Args:
        study: the run's study.
        plan: what it does.
        engine: what trains the trials.
        lock: held while a batch is asked; processes on this machine share it.
        on_event: told of each trial.
    """
    try:
        return _search(study, plan, engine, lock, on_event)
    except KeyError as error:
        if "Record does not exist" not in str(error):  # Optuna's words
            raise
        raise RunError(f"the run {study.study_name!r} was deleted meanwhile") from error


def _search(
    study: Study,
    plan: Plan,
    engine: Engine,
    lock: AbstractContextManager[object],
    on_event: OnEvent,
) -> Clock:
    clock = Clock()
    finished = sum(t.state in FINISHED for t in study.get_trials(deepcopy=False))
    on_event(Started(study.study_name, finished, plan.config.trials))
    with Leases(study._storage) as leases:
        asker = Asker(study, plan, leases, lock)
        while True:
            with clock.measure("sampling"):
                batch, left = asker.ask()
            for number in left:
                on_event(Note(f"trial {number} was left by a process that ended: trained again"))
            if not batch:
                break
            standing = Standing.of(asker.trials, plan.config.search.objective)
            _Batch(study, plan, engine, leases, clock, on_event, batch, standing).train()
    running = [t for t in study.get_trials(deepcopy=False) if t.state == TrialState.RUNNING]
    if running:
        on_event(Note(f"{len(running)} trials are still being trained by other processes"))
    return clock


@dataclass
class Standing:
    """How far a run is, as far as this process knows: all that is told of it with each trial."""

    finished: int
    best_value: float | None
    best_family: str | None

    @staticmethod
    def of(trials: Sequence[FrozenTrial], objective: Objective) -> "Standing":
        """Sum up a study's trials."""
        finished = sum(t.state in FINISHED for t in trials)
        best = best_trial(trials, objective)
        schedule = None if best is None else read_schedule(best)
        if best is None or schedule is None:
            return Standing(finished, None, None)
        return Standing(finished, read_result(best)[objective], schedule.family)

    def add(self, family: str, value: float | None, objective: Objective) -> None:
        """Add a trial that has ended; a value of None is not compared (pruned, diverged)."""
        self.finished += 1
        if value is None:
            return
        if self.best_value is None or better(value, self.best_value, objective):
            self.best_value, self.best_family = value, family


@dataclass
class _Batch:
    """Trials that are trained together."""

    study: Study
    plan: Plan
    engine: Engine
    leases: Leases
    clock: Clock
    on_event: OnEvent
    trials: list[Asked]
    standing: Standing

    def train(self) -> None:
        prunes = self.plan.config.search.pruner != "none"
        with self.clock.around_training():
            self.engine.train(
                self.plan.task,
                [asked.schedule for asked in self.trials],
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
        trial_id, storage = self.trials[index].trial_id, self.study._storage
        with self.clock.measure("storing"):
            value = getattr(row, self.plan.config.search.objective)
            storage.set_trial_intermediate_value(trial_id, row.step, value)
            if row.step == self.plan.total_steps:
                return False
            return self.study.pruner.prune(self.study, storage.get_trial(trial_id))

    def _end(self, index: int, curve: Curve) -> None:
        with self.clock.measure("storing"):
            self._store(self.trials[index], curve)

    def _store(self, asked: Asked, curve: Curve) -> None:
        storage, objective = self.study._storage, self.plan.config.search.objective
        result = result_of(curve, self.plan.task.target_accuracy)
        try:
            write_result(storage, asked.trial_id, curve, result)
            if not (curve.diverged or curve.stopped):
                self.study.tell(asked.number, result[objective])
            elif curve.diverged and self.plan.config.search.sampler in READ_COMPLETE_ONLY:
                self.study.tell(asked.number, self._penalty(curve))
            else:
                self.study.tell(asked.number, state=TrialState.PRUNED)
        except (UpdateFinishedTrialError, ValueError) as error:
            self.leases.drop(asked.trial_id)
            self.on_event(Note(f"trial {asked.number} was finished elsewhere ({error})"))
            return
        self.leases.drop(asked.trial_id)
        self.clock.trials += 1
        self.on_event(self._event(asked, curve, result[objective]))

    def _penalty(self, curve: Curve) -> float:
        """Give the bound that no other trial's value is beyond."""
        if self.plan.config.search.objective == "val_accuracy":
            return 0.0
        return self.plan.config.training.diverge_factor * curve.initial_loss

    def _event(self, asked: Asked, curve: Curve, value: float) -> Event:
        state = "diverged" if curve.diverged else "pruned" if curve.stopped else "finished"
        comparable = value if state == "finished" else None
        family, objective = asked.schedule.family, self.plan.config.search.objective
        self.standing.add(family, comparable, objective)
        return Trained(
            trial=asked.number,
            state=state,
            family=family,
            value=value,
            finished=self.standing.finished,
            total=self.plan.config.trials,
            best_value=self.standing.best_value,
            best_family=self.standing.best_family,
            seconds=curve.final.seconds,
        )
