"""Recipes and jobs are validated when they are made, and a cut training is the start of a whole."""

from dataclasses import replace
from typing import Any

import pytest
from engine_runs import COSINE, PLATEAU, SGD_SPEC, STEP, curves_of, jobs_of, recipe_of
from hand_loop import RATE, digits, recorded

from schedsearch import Schedule, train
from schedsearch.errors import ScheduleError
from schedsearch.training.fused.train import train_fused
from schedsearch.training.recipe import Job, Recipe, by_course

GOOD: dict[str, Any] = {"total_steps": 30, "eval_steps": (10, 20, 30)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"eval_steps": ()}, "must rise"),
        ({"eval_steps": (10, 20)}, "end with total_steps = 30"),
        ({"eval_steps": (10, 40)}, "end with total_steps = 30"),
        ({"eval_steps": (20, 10, 30)}, "must rise"),
        ({"eval_steps": (10, 10, 30)}, "must rise"),
        ({"eval_steps": (0, 30)}, "from 1"),
        ({"total_steps": 0, "eval_steps": (0,)}, "from 1"),
        ({"last_step": 15}, r"last_step = 15 is none of eval_steps = \(10, 20, 30\)"),
        ({"last_step": 0}, "last_step = 0"),
    ],
)
def test_a_job_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    assert Job(STEP, 0, **GOOD).end == 30
    with pytest.raises(ValueError, match=message):
        Job(STEP, 0, **(GOOD | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"evals": 0}, "evals = 0"),
        ({"diverge_factor": 0.0}, "diverge_factor = 0.0"),
        ({"diverge_factor": float("nan")}, "diverge_factor = nan"),
        ({"precision": "fp8"}, r"unknown precision 'fp8' \(allowed: full, bf16\)"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(Recipe(digits(), SGD_SPEC, evals=3), **changes)


def test_a_recipe_makes_jobs_of_any_horizon() -> None:
    recipe = recipe_of(evals=3)
    job = recipe.job(COSINE, 7, 10, keeps_model=True)
    assert (job.schedule, job.seed, job.total_steps, job.keeps_model) == (COSINE, 7, 10, True)
    assert (job.eval_steps, job.steps_evaluated, job.end) == ((3, 7, 10), (3, 7, 10), 10)
    cut = replace(job, last_step=7)
    assert (cut.eval_steps, cut.steps_evaluated, cut.end) == ((3, 7, 10), (3, 7), 7)
    with pytest.raises(ScheduleError, match="3 evaluations do not fit into 2 steps"):
        recipe.job(COSINE, 7, 2)


def test_equal_jobs_are_two_jobs() -> None:
    one, other = jobs_of(recipe_of(), [STEP, STEP])
    assert one != other
    assert len({one, other, one}) == 2


def test_jobs_of_one_course_keep_their_order() -> None:
    recipe = recipe_of(evals=3)
    jobs = [recipe.job(STEP, seed, steps) for seed, steps in ((0, 30), (1, 60), (2, 30))]
    cut = replace(jobs[1], last_step=20)
    explicit = replace(jobs[0], last_step=30)
    assert by_course([*jobs, cut, explicit]) == [[jobs[0], jobs[2], explicit], [jobs[1]], [cut]]


def test_the_precision_of_a_recipe_is_that_of_its_task() -> None:
    full = recipe_of()
    assert full.trained_task is full.task
    half = replace(full, precision="bf16")
    assert half.trained_task is half.trained_task
    assert half.trained_task is not half.task
    assert half.trained_task.train is full.task.train, "the data are shared"


CUT = (
    COSINE,
    PLATEAU,
    # it waits for 2 of 8 evaluations; of the 4 before the cut it would wait for 1, and cut sooner
    Schedule("ReduceLROnPlateau", RATE, {"threshold": 0.9, "patience_frac": 0.25}),
    Schedule("CosineAnnealingWarmRestarts", RATE, {"cycles": 3}),
    Schedule("StepLR", RATE, {"step_frac": 0.5}, step_unit="epoch"),
)


@pytest.mark.parametrize("fused", [False, True], ids=["reference", "fused"])
def test_a_job_with_a_last_step_is_the_start_of_the_whole_training(fused: bool) -> None:
    """The same rates and losses to the last bit, at the horizon of the whole; it isn't stopped."""
    recipe = recipe_of(evals=8)
    whole = jobs_of(recipe, CUT, 40)
    cut = [replace(job, last_step=20) for job in whole]
    engine = train_fused if fused else train
    for one, other in zip(engine(recipe, cut), engine(recipe, whole), strict=True):
        assert [row.step for row in one.rows] == [5, 10, 15, 20]
        assert recorded(one) == recorded(other)[:4]
        assert (one.stopped, one.diverged) == (False, False)
    assert curves_of([COSINE], total_steps=20, evals=2)[0].rows[1].lr < RATE / 4, "squeezed"


def test_only_the_caller_stops_a_job_also_at_its_last_step() -> None:
    recipe = recipe_of(evals=2)
    job = replace(recipe.job(STEP, 0, 20), last_step=10)
    for engine in (train, train_fused):
        assert engine(recipe, [job], on_eval=lambda job, row: True)[0].stopped
        assert not engine(recipe, [job], on_eval=lambda job, row: False)[0].stopped
