"""Check the rungs: random schedules, trained at each of them, in a study beside the search's.

The sampler never sees them: what is promoted without having been good would mislead it.
"""

from contextlib import AbstractContextManager
from dataclasses import replace

import optuna
from optuna.study import Study

from schedsearch.search.events import OnEvent
from schedsearch.search.plan import Plan
from schedsearch.search.study import search
from schedsearch.seeds import derive_seed
from schedsearch.storage.checks import CHECKS, checks_name
from schedsearch.storage.records import PREFIX
from schedsearch.training import Engine


def checks_wanted(plan: Plan) -> int:
    """Give how many schedules check the rungs of a plan: none where there are no rungs."""
    return 0 if plan.rungs.kind == "full" else plan.config.fidelity.checks


def check_steps(plan: Plan) -> int:
    """Give the optimizer steps that the check takes when nothing diverges."""
    return checks_wanted(plan) * sum(plan.rungs.horizons)


def train_checks(
    study: Study,
    plan: Plan,
    engine: Engine,
    lock: AbstractContextManager[object],
    on_event: OnEvent,
    after: int = 0,
) -> None:
    """Train the schedules that check the rungs, but for those that have been trained.

    It is a search by random sampling in which all go on: it resumes, and is shared, as one.

    Args:
        study: the run's study.
        plan: what it does.
        engine: what trains the schedules.
        lock: held while trials are asked; processes on this machine share it.
        on_event: told of each.
        after: the optimizer steps that are planned for after the check.
    """
    count = checks_wanted(plan)
    if not count:
        return
    with lock:
        book = open_checks(study)
    if len(book.get_trials(deepcopy=False, states=_OVER)) < count:
        search(book, _plan_of_checks(plan, count), engine, lock, on_event, after)


_OVER = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)


def open_checks(study: Study) -> Study:
    """Create the study of a run's checks, or load it."""
    book = optuna.create_study(
        storage=study._storage,
        study_name=checks_name(study.study_name),
        direction=study.direction,
        load_if_exists=True,
    )
    book._storage.set_study_system_attr(book._study_id, f"{PREFIX}run", study.study_name)
    return book


def _plan_of_checks(plan: Plan, count: int) -> Plan:
    """Sample at random, by a seed of its own; train as the search does, and leave none behind."""
    config = plan.config
    sampling = {"sampler": "random", "sampler_args": {}, "batch": min(count, plan.batch)}
    changes = {
        "trials": count,
        "seed": derive_seed(config.seed, CHECKS),
        "search": config.search.model_copy(update=sampling),
    }
    return replace(
        plan, config=config.model_copy(update=changes), rungs=replace(plan.rungs, eta=1), notes=()
    )
