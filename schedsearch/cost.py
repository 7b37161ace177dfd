"""Estimate what a study will take, before it is launched."""

import time
from dataclasses import dataclass

from schedsearch.confirmation.confirm import confirming_trainings
from schedsearch.horizon import evaluation_steps
from schedsearch.schedules.schedule import Schedule
from schedsearch.search.plan import Plan
from schedsearch.training.choice.probe import choose_trainer
from schedsearch.training.choice.way import Way
from schedsearch.training.device import threads
from schedsearch.training.own.task import OwnTask, own_way
from schedsearch.training.recipe import Job
from schedsearch.training.reference import train

_OVERHEAD_SECONDS = 0.02  # sampling and storing one trial
_MEASURED_STEPS, _MEASURED_SECONDS = 40, 5.0  # of each measurement, at most


@dataclass(frozen=True)
class Estimate:
    """What a study will take, reckoned from a few measured steps.

    How long a trainer of the user's own takes is not measured.

    Args:
        trials: the trials of the search.
        confirming: the most trainings of the confirmation.
        steps: the optimizer steps of the search.
        minutes: all of it takes, with the way of training that was chosen without a compiler;
            None where a trainer of the user's own trains.
        megabytes: it stores.
        way: how jobs would be trained.
        reference_minutes: it would take with the reference engine; None likewise.
    """

    trials: int
    confirming: int
    steps: int
    minutes: float | None
    megabytes: float
    way: Way
    reference_minutes: float | None


def estimate(plan: Plan) -> Estimate:
    """Train a few steps of the plan's task, and reckon from them what the study will take."""
    confirming, steps = confirming_trainings(plan), plan.search_steps(plan.trials)
    way, minutes, reference_minutes = _time(plan, steps, confirming)
    stored = plan.recipe.evals * 130 + 4000  # bytes of one training
    return Estimate(
        trials=plan.trials,
        confirming=confirming,
        steps=steps,
        minutes=minutes,
        megabytes=0.2 + (plan.trials + confirming) * stored / 1e6,
        way=way,
        reference_minutes=reference_minutes,
    )


def _time(plan: Plan, steps: int, confirming: int) -> tuple[Way, float | None, float | None]:
    """Return how jobs would be trained, and the minutes so and with the reference engine."""
    if isinstance(plan.recipe.task, OwnTask):
        return own_way(plan.recipe.task), None, None
    step_seconds, eval_seconds = _measure(plan)
    beside = eval_seconds * (plan.recipe.evals + 1) + _OVERHEAD_SECONDS
    full_trainings = (steps + plan.check_steps) / plan.total_steps + confirming
    waves = plan.waves(plan.trials)
    way = choose_trainer(plan.recipe, plan.engine, waves=waves, steps=steps, compiles=False).way

    def minutes(seconds: float) -> float:
        return full_trainings * (seconds * plan.total_steps + beside) / 60

    chosen = step_seconds if way.kind == "reference" else way.step_seconds
    return way, minutes(chosen), minutes(step_seconds)


def _measure(plan: Plan) -> tuple[float, float]:
    """Return the seconds of an optimizer step and of an evaluation, with the reference engine."""
    schedule = Schedule("Constant", plan.space.peak_lr.low)

    def seconds(evals: int, steps: int) -> float:
        job = Job(schedule, plan.training_seed, steps, evaluation_steps(steps, evals))
        started = time.perf_counter()
        train(plan.recipe, [job])
        return time.perf_counter() - started

    with threads(plan.engine.threads or 1):
        seconds(1, 2)  # the first steps of a process are slow
        affordable = int(_MEASURED_SECONDS / seconds(1, 2)) * 2
        steps = max(2, min(_MEASURED_STEPS, plan.total_steps, affordable))
        one, two = seconds(1, steps), seconds(2, steps)
    an_eval = max(two - one, 0.0)
    return max(one - 2 * an_eval, 0.0) / steps, an_eval
