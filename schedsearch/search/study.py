"""The search: ask a batch of trials, train them, store what came out; resume where it stopped."""

from collections.abc import Mapping
from contextlib import AbstractContextManager

from optuna.study import Study
from optuna.trial import TrialState

from schedsearch.errors import RunError
from schedsearch.search.asking import Asked, Asker
from schedsearch.search.clock import Clock
from schedsearch.search.cohort import Cohort
from schedsearch.search.events import Note, OnEvent, Started
from schedsearch.search.meter import Meter
from schedsearch.search.plan import Plan
from schedsearch.search.results import Results, Standing
from schedsearch.search.shares import Share, open_shares, trials_of
from schedsearch.storage.owners import Leases
from schedsearch.storage.records import FINISHED
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
    with lock:
        shares = open_shares(study, plan)
    finished = sum(t.state in FINISHED for t in trials_of(shares))
    on_event(Started(study.study_name, finished, plan.config.trials))
    with Leases(study._storage) as leases:
        askers = {share: Asker(share.study, share.plan, leases, lock) for share in shares}
        results = Results(study, plan, leases, clock, on_event)
        while batch := _ask(askers, clock, on_event):
            trials = [trial for asker in askers.values() for trial in asker.trials]
            results.standing = Standing.of(trials, plan.config.search.objective)
            Cohort(plan, engine, clock, results, on_event, batch, meter).train()
    running = sum(t.state == TrialState.RUNNING for t in trials_of(shares))
    if running:
        on_event(Note(f"{running} trials are still being trained by other processes"))
    return clock


def _ask(askers: Mapping[Share, Asker], clock: Clock, on_event: OnEvent) -> list[Asked]:
    """Ask each study for a batch: they are trained together."""
    batch: list[Asked] = []
    for share, asker in askers.items():
        with clock.measure("sampling"):
            asked, left = asker.ask()
        batch += asked
        for number in left:
            which = share.trial_in_words(number)
            on_event(Note(f"{which} was left by a process that ended: trained again"))
    return batch
