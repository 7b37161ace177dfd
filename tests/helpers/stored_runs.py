"""Runs that are stored, of trials made by hand: what the dashboard reads."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from made_runs import HIGH, LOW, MEASURED
from optuna.trial import FrozenTrial

from schedsearch import Run, open_run
from schedsearch.config import parse_config
from schedsearch.store.connect import open_storage
from schedsearch.store.place import Place, place_run
from schedsearch.store.records import PREFIX

PROVENANCE = {
    **{"python": "3.11", "platform": "Linux", "host": "here", "device": "cpu"},
    **{"device_name": "", "commit": None, "versions": {"torch": "2.9", "optuna": "5.0"}},
}


def store_run(
    runs_dir: Path, studies: Mapping[str, Sequence[FrozenTrial]], name: str = "made", **changes: Any
) -> Run:
    """Store a run in a folder: each of its studies with its trials; `name` is the main one."""
    place = place_run(name, runs_dir, None)
    fill(place, {name: (), **studies}, **changes)
    return open_run(runs_dir / name)


def fill(place: Place, studies: Mapping[str, Sequence[FrozenTrial]], **changes: Any) -> None:
    """Store the studies of a run in its place."""
    storage = open_storage(place.url)
    trials = max(1, sum(map(len, studies.values())))
    content = {"name": place.name, "task": "digits", "trials": trials, **changes}
    config = parse_config(content)
    for study_name, made in studies.items():
        study = optuna.create_study(storage=storage, study_name=study_name)
        described: dict[str, Any] = {
            "run": place.name,
            "config": config.model_dump(mode="json"),
            "provenance": PROVENANCE,
            "fingerprint": "0123456789abcdef",
            "seeds": {"study": 0, "training": 1},
            "identity": {"model": "mlp", "space.peak_lr": [LOW, HIGH]},
            **MEASURED,
        }
        for key, value in described.items():
            storage.set_study_system_attr(study._study_id, f"{PREFIX}{key}", value)
        study.add_trials(made)
    storage.engine.dispose()
