"""The test split, read once for a schedule: for the best after all else, on a seed of its own."""

from typing import Any

from optuna.storages import RDBStorage
from optuna.study import Study

from schedsearch.schedules import Schedule
from schedsearch.search.plan import Plan
from schedsearch.seeds import derive_seed
from schedsearch.storage.records import PREFIX
from schedsearch.tasks import evaluate, load_test
from schedsearch.training import fit

KEY = f"{PREFIX}test"


def score_on_test(
    study: Study,
    storage: RDBStorage,
    plan: Plan,
    trial: int | None,
    schedule: Schedule,
    role: str = "",
) -> dict[str, Any]:
    """Train a schedule afresh, measure it on the test split, and store that.

    A schedule that has been measured is not measured again. The seed is one that no trial had.

    Args:
        study: the run's study.
        storage: where the score is stored.
        plan: what the study does.
        trial: the number of the schedule's trial.
        schedule: what is measured.
        role: of which reference it is the score; that of the best has none.

    Returns:
        trial, schedule, test_loss, test_accuracy, seed, diverged; the losses None when it diverged.
    """
    key = f"{KEY}:{role}" if role else KEY
    for name, old in storage.get_study_system_attrs(study._study_id).items():
        is_score = name == KEY or name.startswith(f"{KEY}:")
        if is_score and Schedule.from_dict(old["schedule"]) == schedule:
            if name != key:
                storage.set_study_system_attr(study._study_id, key, old)
            known: dict[str, Any] = old
            return known
    seed = derive_seed(plan.config.seed, "test")
    model, curve = fit(
        plan.task,
        schedule,
        total_steps=plan.total_steps,
        seed=seed,
        eval_steps=plan.eval_steps,
        optimizer=plan.optimizer,
        diverge_factor=plan.config.training.diverge_factor,
    )
    score: dict[str, Any] = {"trial": trial, "schedule": schedule.to_dict(), "seed": seed}
    score |= {"diverged": curve.diverged, "test_loss": None, "test_accuracy": None}
    if not curve.diverged:
        folder = plan.data_folder
        loss, accuracy = evaluate(model, plan.task.loss, load_test(plan.task, folder))
        score |= {"test_loss": float(loss), "test_accuracy": float(accuracy)}
    storage.set_study_system_attr(study._study_id, key, score)
    return score
