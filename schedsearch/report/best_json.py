"""best.json: the best schedule of a run, as a file from which it can be built anywhere."""

from pathlib import Path
from typing import Any, cast

from schedsearch.confirmation.read import confirmation_of
from schedsearch.confirmation.scores import score_of
from schedsearch.errors import StorageError
from schedsearch.schedules.load import BEST_FORMAT, BEST_VERSION
from schedsearch.store.place import write_json
from schedsearch.store.run import Run


def best_of(run: Run) -> dict[str, Any]:
    """Return what best.json holds: the schedule, its result, and the claim about it.

    The schedule is the winner of the confirmation if no trial has ended since, or else the best of
    the search. `result` of a winner is the mean over the fresh seeds (the median for the steps to
    the target); of an unconfirmed best, it is the result on the search's seed.

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
    score = score_of(run, schedule)
    result = {
        key: reached[key]
        for key in ("val_loss", "val_accuracy", "best_val_loss", "best_val_accuracy", "train_loss")
    }
    return {
        "format": BEST_FORMAT,
        "version": BEST_VERSION,
        "schedule": schedule.to_dict(),
        "confirmed": confirmed is not None,
        "claim": claim,
        "result": result
        | {
            "trial": trial,
            "study": None if trial is None else run.study_of(schedule.family),
            "steps_to_target": reached["steps_to_target"],
            "target_accuracy": reached["target_accuracy"],
            "test_accuracy": None if score is None else score.test_accuracy,
            "test_loss": None if score is None else score.test_loss,
        },
        "confirmation": None if confirmed is None else confirmed.to_dict(),
        "study": {
            "name": run.name,
            "mode": config.mode,
            "task": config.task,
            "model": attributes["identity"]["model"],
            "optimizer": config.training.optimizer,
            "optimizer_args": config.training.optimizer_arguments,
            "batch_size": config.training.batch_size,
            "total_steps": config.training.total_steps,
            "objective": config.search.objective,
            "seed": config.seed,
            "fingerprint": attributes["fingerprint"],
            "versions": attributes["provenance"]["versions"],
            "commit": attributes["provenance"]["commit"],
        },
    }


def export_best(run: Run, path: Path) -> None:
    """Write best.json in one move; make its folder if it is missing."""
    best = best_of(run)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
    write_json(path, best)
