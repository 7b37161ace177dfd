"""Estimate: what a study will take, before it is launched."""

import time
from dataclasses import dataclass

from schedsearch.horizon import evaluation_steps
from schedsearch.launch import choose
from schedsearch.schedules import Schedule
from schedsearch.search.confirm import confirming_runs
from schedsearch.search.fidelity_check import check_steps
from schedsearch.search.plan import Plan
from schedsearch.search.shares import steps_of_search, waves_of
from schedsearch.training import Engine, threads, train


@dataclass(frozen=True)
class Estimate:
    """What a study will take, from a few measured steps; `confirming`: at most so many runs.

    `minutes` are those of the engine, which was chosen with no compiler; `reference_minutes` those
    of the reference engine.
    """

    trials: int
    confirming: int
    steps: int
    minutes: float
    megabytes: float
    engine: Engine
    reference_minutes: float


def estimate(plan: Plan, *, steps: int = 40) -> Estimate:
    """Train a few steps of the plan's task, and reckon with them what the study will take."""
    config, torch_steps = plan.config, max(2, min(steps, plan.total_steps))
    with threads(config.training.threads or 1):
        schedule = Schedule("Constant", plan.space.base_lr.low)

        def seconds(eval_steps: tuple[int, ...]) -> float:
            started = time.perf_counter()
            train(
                plan.task,
                [schedule],
                total_steps=torch_steps,
                seed=plan.seed,
                eval_steps=eval_steps,
                optimizer=plan.optimizer,
            )
            return time.perf_counter() - started

        seconds((torch_steps,))  # the first steps of a process are slow
        one = seconds((torch_steps,))
        two = seconds(evaluation_steps(torch_steps, 2))
    an_eval = max(two - one, 0.0)
    a_step = max(one - 2 * an_eval, 0.0) / torch_steps
    beside = an_eval * (len(plan.eval_steps) + 1) + _OVERHEAD_SECONDS
    confirming = confirming_runs(plan)
    runs, steps = config.trials + confirming, steps_of_search(plan, config.trials)
    full_runs = (steps + check_steps(plan)) / plan.total_steps + confirming
    engine = choose(plan, waves_of(plan, config.trials), steps, compiles=False)

    def minutes(step_seconds: float) -> float:
        return full_runs * (step_seconds * plan.total_steps + beside) / 60

    return Estimate(
        trials=config.trials,
        confirming=confirming,
        steps=steps,
        minutes=minutes(a_step if engine.kind == "reference" else engine.step_seconds),
        megabytes=0.2 + runs * (len(plan.eval_steps) * 130 + 4000) / 1e6,
        engine=engine,
        reference_minutes=minutes(a_step),
    )


_OVERHEAD_SECONDS = 0.02  # sampling and storing one trial
