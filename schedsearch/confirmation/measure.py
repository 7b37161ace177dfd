"""Measure schedules on the test split, once, after all else.

A schedule is trained once more, on a seed that no other training had, and its model is measured on
the test split. The training is a job like all others, in a study of its own.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from schedsearch.schedules.schedule import Schedule
from schedsearch.search.context import Context
from schedsearch.search.fixed_jobs import FixedJobs
from schedsearch.search.plan import Plan
from schedsearch.search.timing import Clock
from schedsearch.search.trainers import Trainers
from schedsearch.search.work import work
from schedsearch.seeds import derive_seed
from schedsearch.store.names import TEST, scores_name
from schedsearch.tasks.apart import apart
from schedsearch.tasks.end_tries import try_values
from schedsearch.tasks.evaluate import evaluate
from schedsearch.tasks.registry import load_test
from schedsearch.tasks.split import Split
from schedsearch.tasks.stream import Stream
from schedsearch.tasks.user_code import asking, of_task
from schedsearch.training.recipe import Ended


def read_test_split(
    context: Context, plan: Plan, trainers: Trainers, schedules: Sequence[Schedule]
) -> bool:
    """Train schedules once more, and measure them on the test split.

    A schedule that has been measured is not measured again.

    Args:
        context: what all phases share.
        plan: what the study does.
        trainers: gives the trainer.
        schedules: the winner first.

    Returns:
        Whether all are measured; False while other processes still train one.

    Raises:
        SchedsearchError: the test split can't be read, or measured, in one line.
    """
    queue = context.queue(scores_name(context.run.name))
    seed = derive_seed(plan.seed, TEST)
    jobs = [
        plan.recipe.job(schedule, seed, plan.total_steps, keeps_model=True)
        for schedule in dict.fromkeys(schedules)
    ]

    task, test = plan.recipe.trained_task, None

    def measured(ended: Ended) -> Mapping[str, Any]:
        if ended.model is None or ended.curve.diverged:
            return {}
        with of_task(task.name), asking("the test split can't be measured"):
            values = evaluate(ended.model, task, test)
        return {f"test_{name}": float(value) for name, value in values.items()}

    what = "measuring on the test split"
    policy = FixedJobs(
        queue, plan.recipe, plan.objective, jobs, what, context.on_event, measured=measured
    )
    policy.look()
    if not policy.complete:
        test = _tried_test_split(plan)  # before the trainings that need it
        work(policy, trainers.alone(), context.on_event, Clock())
        policy.look()
    return policy.complete


def _tried_test_split(plan: Plan) -> Split | Stream:
    """Return the test split, on which an untrained model can be measured."""
    task = plan.recipe.trained_task
    with of_task(task.name):
        with asking("the test split can't be read"):
            test = load_test(task, plan.data_folder, plan.source)
        try_values(task, "test", test)
        with asking("the test split can't be measured"), apart(task.device):
            evaluate(task.model(0), task, test)
    return test
