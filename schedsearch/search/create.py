"""Create the Optuna studies of a run, or load those that were made with the same study file."""

import json
import time
from typing import Any

import optuna
from optuna.exceptions import DuplicatedStudyError
from optuna.storages import RDBStorage
from optuna.study import Study, StudyDirection

from schedsearch.compat import storage_of, study_id_of
from schedsearch.errors import RunError
from schedsearch.search.draft import Draft
from schedsearch.search.given_task import TASK_GIVEN
from schedsearch.search.peak_lr import PeakRange
from schedsearch.search.pruners import make_pruner
from schedsearch.search.samplers import make_sampler
from schedsearch.search.widened import stored_widening
from schedsearch.seeds import derive_seed
from schedsearch.store.place import Place, study_ids
from schedsearch.store.provenance import provenance
from schedsearch.store.records import FINISHED, PREFIX, RANGE_TEST, described
from schedsearch.store.run import Run
from schedsearch.store.version import RUN_VERSION, VERSION, check_version
from schedsearch.tasks.identity import TASK, task_changes


def open_study(storage: RDBStorage, place: Place, draft: Draft, peak: PeakRange) -> Study:
    """Create the study of a run, or load it when the run was made with the same study file.

    Raises:
        RunError: the run was made with another search space, task or horizon.
    """
    search = draft.config.search
    sampler = make_sampler(search.sampler, search.sampler_args, draft.config.seed)
    pruner = make_pruner(search.pruner, search.pruner_args)
    minimizes = draft.objective.minimizes
    direction = StudyDirection.MINIMIZE if minimizes else StudyDirection.MAXIMIZE
    try:
        study = optuna.create_study(
            storage=storage,
            sampler=sampler,
            pruner=pruner,
            study_name=place.name,
            direction=direction,
        )
        _describe(storage, study, place, draft, peak)
    except DuplicatedStudyError:
        study = optuna.load_study(
            study_name=place.name, storage=storage, sampler=sampler, pruner=pruner
        )
        _compare(storage, study, place, draft, peak)
        config = draft.config.model_dump(mode="json")
        storage.set_study_system_attr(study_id_of(study), f"{PREFIX}config", config)
    return study


def open_beside(study: Study, name: str) -> Study:
    """Create another study of the run that a study belongs to, or load it.

    Raises:
        RunError: the storage has a study of this name that is not the run's.
    """
    storage, key = storage_of(study), f"{PREFIX}run"
    beside = optuna.create_study(
        storage=storage,
        sampler=study.sampler,
        pruner=study.pruner,
        study_name=name,
        direction=study.direction,
        load_if_exists=True,
    )
    if storage.get_study_system_attrs(study_id_of(beside)).get(key) != study.study_name:
        if beside.get_trials(deepcopy=False):
            raise _not_ours(name)
        storage.set_study_system_attr(study_id_of(beside), key, study.study_name)
    return beside


def _not_ours(name: str) -> RunError:
    return RunError(
        f"the storage has a study {name!r} that is none of schedsearch's: "
        "choose another name (name = ... in the study file, or --name)"
    )


def _describe(
    storage: RDBStorage, study: Study, place: Place, draft: Draft, peak: PeakRange
) -> None:
    def write(key: str, value: Any) -> None:
        storage.set_study_system_attr(study_id_of(study), f"{PREFIX}{key}", value)

    config = draft.config
    write(VERSION, RUN_VERSION)
    write("config", config.model_dump(mode="json"))
    write("provenance", provenance(draft.recipe.task.device))
    write("fingerprint", draft.fingerprint(peak))
    seeds = {"study": config.seed, "training": derive_seed(config.seed, "training")}
    write("seeds", seeds)
    write("run", place.name)
    for key, value in described(draft.recipe).items():
        write(key, value)
    if draft.source is not None:
        write(TASK_GIVEN, True)
    if config.mode == "rank":  # for whoever looks with Optuna's own tools
        text = f"rank: this study has no trials, each family has its own: {place.name}/FAMILY"
        storage.set_study_user_attr(study_id_of(study), "mode", text)
    if peak.test is not None:
        write(RANGE_TEST, peak.test.to_dict())
    write("identity", draft.identity(peak))  # last: who loads the study waits for it


def _compare(
    storage: RDBStorage, study: Study, place: Place, draft: Draft, peak: PeakRange
) -> None:
    """Refuse to mix trials of two different questions in one study."""
    for _ in range(50):
        attrs = storage.get_study_system_attrs(study_id_of(study))
        if f"{PREFIX}identity" in attrs:
            break
        time.sleep(0.1)  # another process has just created it
    else:
        if study.get_trials(deepcopy=False):
            raise _not_ours(study.study_name)
        _describe(storage, study, place, draft, peak)  # its creator died before it wrote this
        return
    _check_version(study.study_name, attrs)
    unsaid = {"mode": "search"}
    was = unsaid | attrs[f"{PREFIX}identity"]
    if draft.peak_lr_is_open:  # whoever created the run has decided
        peak = PeakRange(*was["space.peak_lr"])
    now = unsaid | json.loads(json.dumps(draft.identity(peak)))
    changes = [
        f"{key}: {was.get(key)!r} -> {now.get(key)!r}"
        for key in sorted(was.keys() | now.keys())
        if was.get(key) != now.get(key) and not key.startswith(TASK)
    ]
    of_task = task_changes(was, now)
    if of_task and draft.config.is_own and not _has_ended_trials(storage, place):
        # a script of the user's own that failed at once, and was mended
        storage.set_study_system_attr(study_id_of(study), f"{PREFIX}identity", now)
        of_task = []
    changes += of_task
    if changes:
        shown = "; ".join(changes[:4]) + (f"; and {len(changes) - 4} more" * (len(changes) > 4))
        raise RunError(
            f"the run {study.study_name!r} was made with another study ({shown}): give this one "
            "another name (--name), or take the change back; more --trials is always allowed"
        )


def _has_ended_trials(storage: RDBStorage, place: Place) -> bool:
    ids = study_ids(storage, place.name).values()
    return any(storage.get_all_trials(i, deepcopy=False, states=FINISHED) for i in ids)


def refuse_another_task(run: Run, draft: Draft) -> None:
    """Refuse to train more for a run whose task has changed since the run was made.

    Raises:
        RunError: its model, data, loss or metrics have.
    """
    changes = task_changes(run.attributes["identity"], draft.task_identity)
    if changes:
        shown = "; ".join(changes)
        raise RunError(
            f"the run {run.name!r} was made with another task ({shown}): take the change back, or "
            "run the study under another name (--name)"
        )


def stored_peak_lr(storage: RDBStorage, name: str) -> PeakRange | None:
    """Return the peak rates that a run was made with, and searches; None: there is no such run."""
    study_id = study_ids(storage, name).get(name)
    if study_id is None:
        return None
    attrs = storage.get_study_system_attrs(study_id)
    _check_version(name, attrs)
    attrs = _bare(attrs)
    identity = attrs.get("identity", {})
    if "space.peak_lr" not in identity:
        return None
    low, high = identity["space.peak_lr"]
    return PeakRange(low, high, widened=stored_widening(attrs))


def _check_version(name: str, attrs: dict[str, Any]) -> None:
    check_version(name, _bare(attrs))


def _bare(attrs: dict[str, Any]) -> dict[str, Any]:
    """Return attributes of a run by their names without the prefix."""
    return {key.removeprefix(PREFIX): value for key, value in attrs.items()}
