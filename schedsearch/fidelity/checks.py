"""The checks of the rungs: random schedules, trained at each rung, in a study beside the search's.

The sampler never sees them: a schedule that is promoted without having been good would mislead it.
"""

import time
from dataclasses import replace

from optuna.trial import TrialState

from schedsearch.search.context import Context
from schedsearch.search.plan import SubSearch
from schedsearch.search.results import Terms
from schedsearch.search.search import Search
from schedsearch.search.timing import Clock
from schedsearch.search.work import work
from schedsearch.store.leases import abandoned
from schedsearch.store.names import checks_name
from schedsearch.store.records import FINISHED
from schedsearch.training.recipe import JobTrainer

_LOOK_SECONDS = 0.5


def train_checks(
    context: Context, terms: Terms, checks: SubSearch | None, trainer: JobTrainer, after: int = 0
) -> None:
    """Train the schedules that check the rungs and have not been trained yet.

    Args:
        context: what all phases share.
        terms: what the search needs.
        checks: what is drawn, and how many; None: nothing.
        trainer: trains them.
        after: the optimizer steps that are planned for after the checks.
    """
    if checks is None:
        return
    name = checks_name(context.run.name)
    queue = context.queue(name)
    if len(queue.study.get_trials(deepcopy=False, states=FINISHED)) >= checks.trials:
        return
    terms = replace(terms, name=name, reads_pruned=True)
    clock = Clock()  # the time of the checks is none of the search's
    search = Search(terms, [(queue, checks)], context.on_event, clock)
    search.begin()
    work(search, trainer, context.on_event, clock, after=after)


def wait_for_checks(context: Context, checks: SubSearch) -> bool:
    """Wait while other processes train checks; return whether all of them are over."""
    queue = context.queue(checks_name(context.run.name))
    while True:
        trials = queue.study.get_trials(deepcopy=False)
        if sum(t.state in FINISHED for t in trials) >= checks.trials:
            return True
        running = [t for t in trials if t.state == TrialState.RUNNING]
        if all(map(abandoned, running)):
            return False
        time.sleep(_LOOK_SECONDS)
