"""Create a run's studies, or load those that were made with the same plan."""

import json
import time
from typing import Any

import optuna
from optuna.exceptions import DuplicatedStudyError
from optuna.storages import RDBStorage
from optuna.study import Study, StudyDirection

from schedsearch.errors import RunError
from schedsearch.search.plan import Plan
from schedsearch.search.pruners import make_pruner
from schedsearch.search.samplers import make_sampler
from schedsearch.storage.place import Place
from schedsearch.storage.provenance import provenance
from schedsearch.storage.records import PREFIX, RANGE_TEST


def open_study(storage: RDBStorage, place: Place, plan: Plan) -> Study:
    """Create the run's study, or load it when it was made with the same plan.

    Raises:
        RunError: the run was made with another search space, task or horizon.
    """
    search = plan.config.search
    sampler = make_sampler(search.sampler, search.sampler_args, plan.config.seed)
    pruner = make_pruner(search.pruner, search.pruner_args)
    minimizes = search.objective == "val_loss"
    direction = StudyDirection.MINIMIZE if minimizes else StudyDirection.MAXIMIZE
    try:
        study = optuna.create_study(
            storage=storage,
            sampler=sampler,
            pruner=pruner,
            study_name=place.name,
            direction=direction,
        )
        _describe(storage, study, place, plan)
    except DuplicatedStudyError:
        study = optuna.load_study(
            study_name=place.name, storage=storage, sampler=sampler, pruner=pruner
        )
        _compare(storage, study, place, plan)
        config = plan.config.model_dump(mode="json")
        storage.set_study_system_attr(study._study_id, f"{PREFIX}config", config)
    return study


def open_beside(study: Study, name: str) -> Study:
    """Create another study of the run that a study belongs to, or load it.

    Raises:
        RunError: the storage has a study of this name that is not the run's.
    """
    storage, key = study._storage, f"{PREFIX}run"
    beside = optuna.create_study(
        storage=storage,
        sampler=study.sampler,
        pruner=study.pruner,
        study_name=name,
        direction=study.direction,
        load_if_exists=True,
    )
    if storage.get_study_system_attrs(beside._study_id).get(key) != study.study_name:
        if beside.get_trials(deepcopy=False):
            raise _not_ours(name)
        storage.set_study_system_attr(beside._study_id, key, study.study_name)
    return beside


def _not_ours(name: str) -> RunError:
    return RunError(
        f"the storage has a study {name!r} that is none of schedsearch's: "
        "choose another name (name = ... in the study file, or --name)"
    )


def _describe(storage: RDBStorage, study: Study, place: Place, plan: Plan) -> None:
    def write(key: str, value: Any) -> None:
        storage.set_study_system_attr(study._study_id, f"{PREFIX}{key}", value)

    if plan.config.space.base_lr == "auto" and plan.range_test is None:
        raise ValueError("the range of base rates must be settled before the run is made")
    write("config", plan.config.model_dump(mode="json"))
    write("provenance", provenance(plan.task.device))
    write("fingerprint", plan.space.fingerprint())
    write("seeds", {"study": plan.config.seed, "training": plan.seed})
    write("run", place.name)
    if plan.config.mode == "rank":  # for whoever looks with Optuna's own tools
        text = f"rank: this study has no trials, each family has its own: {place.name}/FAMILY"
        storage.set_study_user_attr(study._study_id, "mode", text)
    if plan.range_test is not None:
        write(RANGE_TEST, plan.range_test.to_dict())
    write("identity", plan.identity())  # last: who loads the study waits for it


def _compare(storage: RDBStorage, study: Study, place: Place, plan: Plan) -> None:
    """Refuse to mix trials of two different questions in one study."""
    for _ in range(50):
        attrs = storage.get_study_system_attrs(study._study_id)
        if f"{PREFIX}identity" in attrs:
            break
        time.sleep(0.1)  # another process has just created it
    else:
        if study.get_trials(deepcopy=False):
            raise _not_ours(study.study_name)
        _describe(storage, study, place, plan)  # whoever created it died before it came to this
        return
    unsaid = {"mode": "search"}  # as in runs made before there was a choice
    was = unsaid | attrs[f"{PREFIX}identity"]
    if plan.config.space.base_lr == "auto":  # whoever created the run has decided
        plan = plan.with_base_lr(was["space.base_lr"])
    now = unsaid | json.loads(json.dumps(plan.identity()))
    changes = [
        f"{key}: {was.get(key)!r} -> {now.get(key)!r}"
        for key in sorted(was.keys() | now.keys())
        if was.get(key) != now.get(key)
    ]
    if changes:
        shown = "; ".join(changes[:4]) + (f"; and {len(changes) - 4} more" * (len(changes) > 4))
        raise RunError(
            f"the run {study.study_name!r} was made with another study ({shown}): give this one "
            "another name (--name), or take the change back; more --trials is always allowed"
        )
