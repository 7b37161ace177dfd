"""The search: ask a batch of trials, train them, store what came out; resume where it stopped."""

from contextlib import AbstractContextManager

from optuna.study import Study
from optuna.trial import TrialState

from schedsearch.errors import RunError
from schedsearch.search.asking import FINISHED, Asker
from schedsearch.search.clock import Clock
from schedsearch.search.cohort import Cohort
from schedsearch.search.events import Note, OnEvent, Started
from schedsearch.search.meter import Meter
from schedsearch.search.plan import Plan
from schedsearch.search.results import Results, Standing
from schedsearch.storage.owners import Leases
from schedsearch.training import Engine


def search(
    study: Study,
    plan: Plan,
    engine: Engine,
    lock: AbstractContextManager[object],
    on_event: OnEvent,
    after: int = 0,
) -> Clock:
    """Train trials until the run has its total of finished ones (or others train the last).

    Args:
        study: the run's study.
        plan: what it does.
        engine: what trains the trials.
        lock: held while a batch is asked; processes on this machine share it.
        on_event: told of each trial.
        after: the optimizer steps that are planned for after the search.
    """
    try:
        return _search(study, plan, engine, lock, on_event, after)
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
    after: int,
) -> Clock:
    clock, meter = Clock(), Meter(on_event, after)
    finished = sum(t.state in FINISHED for t in study.get_trials(deepcopy=False))
    on_event(Started(study.study_name, finished, plan.config.trials))
    with Leases(study._storage) as leases:
        asker = Asker(study, plan, leases, lock)
        results = Results(study, plan, leases, clock, on_event)
        while True:
            with clock.measure("sampling"):
                batch, left = asker.ask()
            for number in left:
                on_event(Note(f"trial {number} was left by a process that ended: trained again"))
            if not batch:
                break
            results.standing = Standing.of(asker.trials, plan.config.search.objective)
            Cohort(study, plan, engine, clock, results, on_event, batch, meter).train()
    running = [t for t in study.get_trials(deepcopy=False) if t.state == TrialState.RUNNING]
    if running:
        on_event(Note(f"{len(running)} trials are still being trained by other processes"))
    return clock
