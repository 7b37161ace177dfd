"""Confirmation: the best of the search and two references, on fresh seeds at the full horizon."""

from contextlib import AbstractContextManager

from optuna.study import Study

from schedsearch.errors import RunError
from schedsearch.search.events import Note, OnEvent
from schedsearch.search.opening import open_beside
from schedsearch.search.pairs import ChooseEngine, Crew, Wanted
from schedsearch.search.plan import Plan
from schedsearch.search.references import ALL, RATES, finalists_of, to_tune
from schedsearch.search.shares import open_shares, trials_of
from schedsearch.seeds import derive_seed
from schedsearch.storage.best import comparable
from schedsearch.storage.finalists import (
    CONFIRMATION,
    Concluded,
    confirmation_name,
    read_concluded,
    write_concluded,
)
from schedsearch.storage.owners import Leases
from schedsearch.storage.records import FINISHED


def confirming_runs(plan: Plan) -> int:
    """Give how many runs a plan's confirmation takes at the most: none where none is wished."""
    wish, references = plan.config.confirmation, len(ALL)
    if not wish.seeds:
        return 0
    return references * RATES + wish.seeds * (plan.finalists + references)


def tested_runs(plan: Plan) -> int:
    """Give how many runs are trained for the test split at the most: best, and references."""
    return 1 + len(ALL) if plan.config.confirmation.seeds else 1


def confirm(
    study: Study,
    plan: Plan,
    choose_engine: ChooseEngine,
    lock: AbstractContextManager[object],
    on_event: OnEvent,
) -> Concluded | None:
    """Train what a confirmation needs and is not there yet, and store what it stands on.

    Seeds that were added by an earlier call, and finalists, are kept: taking some away again would
    be a choice by their results.

    Args:
        study: the run's study; its search is over.
        plan: what it does; `plan.config.confirmation` says with how many finalists and seeds.
        choose_engine: gives what trains.
        lock: held while trials are asked; processes on this machine share it.
        on_event: told of each run.

    Returns:
        what was concluded; None while other processes still train a part of it.

    Raises:
        RunError: no trial has finished.
    """
    with lock:
        search = [t for t in trials_of(open_shares(study, plan)) if t.state in FINISHED]
    if not any(comparable(t) for t in search):
        raise RunError(f"the run {study.study_name!r} has no finished trial to confirm")
    with lock:
        book = open_beside(study, confirmation_name(study.study_name))
    before = read_concluded(book._storage, book._study_id)
    wish, looks = plan.config.confirmation, () if before is None else before.looks
    count = max(plan.finalists, before.wished if before else 0)
    seeds = tuple(
        derive_seed(plan.config.seed, CONFIRMATION, i)
        for i in range(max(wish.seeds, len(before.seeds) if before else 0))
    )
    schedules, impossible = to_tune(search, plan)
    for text in impossible:
        on_event(Note(text))
    rates = [Wanted(schedule, plan.seed) for schedule in schedules]
    with Leases(book._storage) as leases:
        crew = Crew(book, plan, leases, choose_engine, lock, on_event)
        last = tested_runs(plan) * plan.total_steps
        after = last + len(seeds) * (count + len(ALL)) * plan.total_steps
        if not crew.train(rates, "tuning the references", after):
            return None
        done = crew.ended()
        tuned = [done[each.pair] for each in rates]
        finalists = finalists_of(search, tuned, plan, count)
        wanted = [Wanted(f.schedule, seed) for seed in seeds for f in finalists]
        if not crew.train(wanted, "confirming", last):
            return None
    if len(seeds) not in looks:
        looks = (*looks, len(seeds))
    concluded = Concluded(finalists, seeds, count, len(search), len(rates), wish.test, looks)
    with lock:
        write_concluded(book._storage, book._study_id, concluded)
    return concluded
