"""best.json: the best schedule of a run, as a file from which it can be built anywhere."""

from collections.abc import Mapping
from math import isnan
from pathlib import Path
from typing import Any, cast

from schedsearch.confirmation.read import confirmation_of
from schedsearch.confirmation.scores import score_of
from schedsearch.errors import StorageError
from schedsearch.files import finite
from schedsearch.schedules.load import BEST_FORMAT, BEST_VERSION
from schedsearch.schedules.schedule import Schedule
from schedsearch.store.place import write_json
from schedsearch.store.run import Run


def best_of(run: Run) -> dict[str, Any]:
    """Return what best.json holds: the schedule, its result, and the claim about it.

    The schedule is the winner of the confirmation if no trial has ended since, or else the best of
    the search. `result` of a winner is the mean over the fresh seeds (the median for the steps to
    the target); of an unconfirmed best, it is the result on the search's seed. It holds what the
    task measures: `val_loss`, `val_` and each metric, their best values, the target and the steps
    to it if the task has one, `test_loss` and the like if it has a test split.

    Raises:
        RunError: no trial has finished.
    """
    best, config, attributes = run.best, run.config, run.attributes
    schedule, trial = best.schedule, cast(int | None, best.trial)
    reached, confirmed = best.result, confirmation_of(run)
    states = run.trials()["state"]
    claim = f"the best of {int((states == 'finished').sum())} finished trials on one seed: "
    claim += "not confirmed on fresh seeds"
    if confirmed is not None:
        winner = confirmed.winner.finalist
        schedule, trial, reached = winner.schedule, winner.trial, confirmed.winner.result()
        claim = confirmed.sentence()
    measured = [objective.name for objective in run.objectives]
    result = {name: reached[name] for name in measured}
    result |= {f"best_{name}": reached[f"best_{name}"] for name in measured}
    if not isnan(reached["train_loss"]):  # a trainer of the user's own may not report it
        result["train_loss"] = reached["train_loss"]
    result["trial"] = trial
    result["study"] = None if trial is None else run.study_of(schedule.family)
    best_json = {
        "format": BEST_FORMAT,
        "version": BEST_VERSION,
        "schedule": schedule.to_dict(),
        "confirmed": confirmed is not None,
        "claim": claim,
        "result": result | _to_target(run, reached) | _tested(run, schedule),
        "confirmation": None if confirmed is None else confirmed.to_dict(),
        "study": {
            "name": run.name,
            "mode": config.mode,
            **_trained(run),
            "total_steps": config.training.total_steps,
            "objective": config.search.objective,
            "seed": config.seed,
            "fingerprint": attributes["fingerprint"],
            "versions": attributes["provenance"]["versions"],
            "commit": attributes["provenance"]["commit"],
        },
    }
    return cast(dict[str, Any], finite(best_json))


def _trained(run: Run) -> dict[str, Any]:
    """Return what is trained, and how: a task, or what a trainer of the user's own is."""
    config = run.config
    if config.is_own:
        return {"command": list(config.command)} if config.command else {"trainer": config.trainer}
    return {
        "task": config.task,
        "model": run.attributes["identity"]["model"],
        "optimizer": config.training.optimizer,
        "optimizer_args": config.training.optimizer_arguments,
        "batch_size": config.training.batch_size,
    }


def _to_target(run: Run, reached: Mapping[str, Any]) -> dict[str, Any]:
    """Return the target and the steps to it; nothing where the task has none."""
    if run.target is None:
        return {}
    objective, value = run.target
    target = {"metric": objective.name, "value": value}
    return {"target": target, "steps_to_target": reached["steps_to_target"]}


def _tested(run: Run, schedule: Schedule) -> dict[str, float | None]:
    """Return what was reached on the test split; nothing where it was not read; null: diverged."""
    score = score_of(run, schedule)
    if score is None:
        return {}
    return {
        f"test_{each.metric}": score.test.get(each.metric)
        for each in run.objectives
        if not each.averaged
    }


def export_best(run: Run, path: Path) -> None:
    """Write best.json in one move; make its folder if it is missing."""
    best = best_of(run)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
    write_json(path, best)
