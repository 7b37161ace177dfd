"""Confirm: the best of the search and the baselines, trained on fresh seeds at the full horizon."""

from schedsearch.compat import study_id_of
from schedsearch.confirmation.baselines import BASELINES, RATES, finalists_of, to_tune
from schedsearch.confirmation.record import Concluded, concluded_in, write_concluded
from schedsearch.errors import RunError
from schedsearch.search.context import Context
from schedsearch.search.events import Note
from schedsearch.search.fixed_jobs import FixedJobs
from schedsearch.search.plan import Plan
from schedsearch.search.timing import Clock
from schedsearch.search.trainers import Trainers
from schedsearch.search.work import work
from schedsearch.seeds import derive_seed
from schedsearch.store.names import CONFIRMATION, confirmation_name
from schedsearch.store.pairs import by_pair
from schedsearch.store.queue import Queue
from schedsearch.store.ranking import comparable
from schedsearch.store.records import FINISHED
from schedsearch.training.recipe import Job


def confirming_trainings(plan: Plan) -> int:
    """Return the most trainings that a plan's confirmation takes; 0 where none is wished."""
    wish, baselines = plan.confirmation, len(BASELINES)
    if not wish.seeds:
        return 0
    return baselines * RATES + wish.seeds * (wish.finalists + baselines)


def confirm(context: Context, plan: Plan, trainers: Trainers, after: int = 0) -> Concluded | None:
    """Train what a confirmation needs and is not there yet, and store what it stands on.

    Seeds that were added by an earlier call, and finalists, are kept: taking some away again would
    be a choice by their results.

    Args:
        context: what all phases share; the search is over.
        plan: what the study does; `plan.confirmation` says with how many finalists and seeds.
        trainers: gives the trainer of each phase.
        after: the optimizer steps that are planned for after the confirmation.

    Returns:
        What was concluded; None while other processes still train a part of it.

    Raises:
        RunError: no trial has finished.
    """
    run = context.run
    search = [t for t in run.search_trials() if t.state in FINISHED]
    if not any(comparable(t) for t in search):
        raise RunError(f"the run {run.name!r} has no finished trial to confirm")
    queue = context.queue(confirmation_name(run.name))
    study_id = study_id_of(queue.study)
    before = concluded_in(queue.storage.get_study_system_attrs(study_id))
    wish = plan.confirmation
    count = max(wish.finalists, before.wished if before else 0)
    seeds = tuple(
        derive_seed(plan.seed, CONFIRMATION, i)
        for i in range(max(wish.seeds, len(before.seeds) if before else 0))
    )
    last = after + len(seeds) * (count + len(BASELINES)) * plan.total_steps
    tuning, impossible = to_tune(search, plan)
    for text in impossible:
        context.on_event(Note(text))
    rates = [plan.recipe.job(each, plan.training_seed, plan.total_steps) for each in tuning]
    if not _train(context, queue, plan, trainers, rates, "tuning the baselines", last):
        return None
    trained = by_pair(queue.trials)
    tuned = [trained[job.schedule.to_json(), job.seed] for job in rates]
    finalists = finalists_of(search, tuned, plan, count)
    jobs = [
        plan.recipe.job(finalist.schedule, seed, plan.total_steps)
        for seed in seeds
        for finalist in finalists
    ]
    if not _train(context, queue, plan, trainers, jobs, "confirming", after):
        return None
    looks = () if before is None else before.looks
    if len(seeds) not in looks:
        looks = (*looks, len(seeds))
    concluded = Concluded(finalists, seeds, count, len(search), len(rates), wish.test, looks)
    with context.lock:
        write_concluded(queue.storage, study_id, concluded)
    return concluded


def _train(
    context: Context,
    queue: Queue,
    plan: Plan,
    trainers: Trainers,
    jobs: list[Job],
    what: str,
    after: int,
) -> bool:
    """Train the jobs that nobody has trained; return whether all of them are over."""
    recipe, objective = plan.recipe, plan.objective
    policy = FixedJobs(queue, recipe, objective, jobs, what, context.on_event, plan.at_once)
    policy.look()
    if policy.unfinished:
        trainer = trainers.for_jobs(policy.unfinished)
        work(policy, trainer, context.on_event, Clock(), after=after)
        policy.look()
    return policy.complete
