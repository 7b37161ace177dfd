"""Short trainings of the reference engine on digits, as its callers start them."""

from collections.abc import Callable, Sequence

from hand_loop import EVALS, RATE, SEED, Row, digits, recorded

from schedsearch import Curve, OptimizerSpec, Schedule, Task, train
from schedsearch.training.curve import Evaluation
from schedsearch.training.divergence import DIVERGE_FACTOR
from schedsearch.training.recipe import Ended, Job, Recipe

STEPS = 36
SGD_SPEC = OptimizerSpec("SGD", {"momentum": 0.9})
COSINE = Schedule("CosineAnnealingLR", RATE)
STEP = Schedule("StepLR", RATE)
PLATEAU = Schedule("ReduceLROnPlateau", RATE, {"threshold": 0.2, "patience_frac": 0.0})


def recipe_of(
    task: Task | None = None,
    *,
    optimizer: OptimizerSpec = SGD_SPEC,
    evals: int = EVALS,
    diverge_factor: float = DIVERGE_FACTOR,
) -> Recipe:
    return Recipe(task or digits(), optimizer, evals, diverge_factor)


def jobs_of(
    recipe: Recipe,
    schedules: Sequence[Schedule],
    total_steps: int = STEPS,
    seed: int | Sequence[int] = SEED,
) -> list[Job]:
    """Return a job for each schedule; all of one seed, or each of its own."""
    seeds = [seed] * len(schedules) if isinstance(seed, int) else seed
    pairs = zip(schedules, seeds, strict=True)
    return [recipe.job(schedule, own, total_steps) for schedule, own in pairs]


def curves_of(
    schedules: Sequence[Schedule],
    task: Task | None = None,
    *,
    total_steps: int = STEPS,
    evals: int = EVALS,
    seed: int | Sequence[int] = SEED,
    optimizer: OptimizerSpec = SGD_SPEC,
    diverge_factor: float = DIVERGE_FACTOR,
    on_eval: Callable[[int, Evaluation], bool] | None = None,
    on_end: Callable[[int, Curve], None] | None = None,
) -> list[Curve]:
    """Train a job for each schedule; the callbacks are told a job's place among the schedules."""
    recipe = recipe_of(task, optimizer=optimizer, evals=evals, diverge_factor=diverge_factor)
    jobs = jobs_of(recipe, schedules, total_steps, seed)

    def evaluated(job: Job, row: Evaluation) -> bool:
        return on_eval is not None and on_eval(jobs.index(job), row)

    def ended(ended: Ended) -> None:
        if on_end is not None:
            on_end(jobs.index(ended.job), ended.curve)

    return train(recipe, jobs, on_eval=on_eval and evaluated, on_end=on_end and ended)


def rows(curves: list[Curve]) -> list[list[Row]]:
    return [recorded(curve) for curve in curves]
