"""Check the rungs: random schedules, trained at each of them, in a study beside the search's.

The sampler never sees them: what is promoted without having been good would mislead it.
"""

import time
from contextlib import AbstractContextManager
from dataclasses import replace

from optuna.study import Study
from optuna.trial import TrialState

from schedsearch.errors import RunError
from schedsearch.search.events import OnEvent
from schedsearch.search.opening import open_beside
from schedsearch.search.plan import Plan
from schedsearch.search.shares import steps_of_search
from schedsearch.search.study import search
from schedsearch.seeds import derive_seed
from schedsearch.statistics.ranks import LEAST_PAIRS
from schedsearch.storage.checks import CHECKS, checks_name
from schedsearch.storage.owners import abandoned
from schedsearch.storage.records import FINISHED
from schedsearch.training import Engine

_SHARE = 0.25  # of the search's steps, which a check takes at the most unless it is asked for
_FEWEST, _MOST = LEAST_PAIRS, 16


def checks_wanted(plan: Plan) -> int:
    """Give how many schedules check the rungs of a plan: none where there are no rungs.

    Where the study doesn't say: as many as a quarter of the search's steps pays for, 16 at the
    most; and none where that are fewer than an interval needs.
    """
    wish = plan.config.fidelity.checks
    if plan.rungs.kind == "full":
        return 0
    if wish is not None:
        return wish
    steps = _SHARE * steps_of_search(plan, plan.config.trials)
    affordable = int(steps / sum(plan.rungs.horizons))
    return min(affordable, _MOST) if affordable >= _FEWEST else 0


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
        book = _book(study)
    if len(book.get_trials(deepcopy=False, states=FINISHED)) < count:
        search(book, _plan_of_checks(plan, count), engine, lock, on_event, after)


def wait_for_checks(study: Study, plan: Plan) -> bool:
    """Wait while other processes train checks; say whether all of them are over.

    Raises:
        RunError: the run was deleted meanwhile.
    """
    try:
        book = _book(study)
        while True:
            trials = book.get_trials(deepcopy=False)
            if sum(t.state in FINISHED for t in trials) >= checks_wanted(plan):
                return True
            running = [t for t in trials if t.state == TrialState.RUNNING]
            if all(map(abandoned, running)):
                return False
            time.sleep(_LOOK_SECONDS)
    except KeyError as error:
        if "Record does not exist" not in str(error):  # Optuna's words
            raise
        raise RunError(f"the run {study.study_name!r} was deleted meanwhile") from error


def _book(study: Study) -> Study:
    return open_beside(study, checks_name(study.study_name))


_LOOK_SECONDS = 0.5


def _plan_of_checks(plan: Plan, count: int) -> Plan:
    """Sample at random, by a seed of its own; train as the search does, and leave none behind."""
    config = plan.config
    sampling = {"sampler": "random", "sampler_args": {}, "batch": min(count, plan.batch)}
    changes = {
        "mode": "search",
        "trials": count,
        "seed": derive_seed(config.seed, CHECKS),
        "search": config.search.model_copy(update=sampling),
    }
    return replace(
        plan, config=config.model_copy(update=changes), rungs=replace(plan.rungs, eta=1), notes=()
    )
