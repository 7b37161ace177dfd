"""best.json: the best schedule of a run, as a file to be built from anywhere."""

import json
from pathlib import Path
from typing import Any, cast

from schedsearch.analysis import Run
from schedsearch.errors import ScheduleError, StorageError
from schedsearch.schedules import Schedule
from schedsearch.schedules.schedule import FORMAT as SCHEDULE_FORMAT
from schedsearch.storage.place import write_json

FORMAT = "schedsearch.best"
VERSION = 1


def best_of(run: Run) -> dict[str, Any]:
    """Return what best.json holds: the schedule, what it reached, and how much that is worth.

    It is the winner of the confirmation, where that knew all trials that have ended by now, or else
    the best of the search. `result` is of a winner the mean over the fresh seeds (of the steps to
    the target the median), of an unconfirmed best what it reached on the search's seed.

    Raises:
        RunError: no trial has finished.
    """
    best, config, attributes = run.best, run.config, run.attributes
    schedule, trial = best.schedule, cast(int | None, best.trial)
    reached, confirmed = best.result, run.confirmed_now
    states = run.trials()["state"]
    claim = f"the best of {int((states == 'finished').sum())} finished trials on one seed: "
    claim += "not confirmed on fresh seeds"
    if confirmed is not None:
        winner = confirmed.winner.finalist
        schedule, trial, reached = winner.schedule, winner.trial, confirmed.winner.result()
        claim = confirmed.sentence()
    test = attributes.get("test")
    if test is not None and Schedule.from_dict(test["schedule"]) != schedule:
        test = None
    result = {
        key: reached[key]
        for key in ("val_loss", "val_accuracy", "best_val_loss", "best_val_accuracy", "train_loss")
    }
    return {
        "format": FORMAT,
        "version": VERSION,
        "schedule": schedule.to_dict(),
        "confirmed": confirmed is not None,
        "claim": claim,
        "result": result
        | {
            "trial": trial,
            "study": None if trial is None else run.study_of(schedule.family),
            "steps_to_target": reached["steps_to_target"],
            "target_accuracy": reached["target_accuracy"],
            "test_accuracy": None if test is None else test["test_accuracy"],
            "test_loss": None if test is None else test["test_loss"],
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
    """Write best.json in one move, and its folder where it is missing."""
    best = best_of(run)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
    write_json(path, best)


def load_schedule(path: str | Path) -> Schedule:
    """Load a schedule from best.json, or from a file that holds `schedule.to_json()`.

    Loading reads values and executes nothing.

    Raises:
        ScheduleError: no such file, a truncated one, one of a newer version.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ScheduleError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ScheduleError(f"{path} is no complete JSON file ({error})") from error
    try:
        return Schedule.from_dict(_schedule_in(data))
    except ScheduleError as error:
        raise ScheduleError(f"{path}: {error}") from error


def _schedule_in(data: Any) -> Any:
    if not isinstance(data, dict) or data.get("format") not in (FORMAT, SCHEDULE_FORMAT):
        raise ScheduleError(f'this is no schedule: "format" must be "{FORMAT}"')
    if data["format"] == SCHEDULE_FORMAT:
        return data
    if data.get("version") != VERSION:
        raise ScheduleError(
            f"this file is of version {data.get('version')!r}, and this schedsearch reads version "
            f"{VERSION}: install a newer one (pip install -U schedsearch)"
        )
    if "schedule" not in data:
        raise ScheduleError("the key 'schedule' is missing")
    return data["schedule"]
