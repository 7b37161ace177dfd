"""Settle what a study file leaves open, once: whoever creates the run decides, all others follow.

The range of base rates is settled before the run is stored, and its identity holds it. The kind of
rungs is settled by a pilot, whose schedules stay as the checks of the rungs; the run's identity
holds "auto" with the rungs that were asked for, and an attribute of its own what was chosen.
"""

from contextlib import AbstractContextManager
from dataclasses import replace
from math import isnan
from pathlib import Path
from typing import Any

from optuna.storages import RDBStorage
from optuna.study import Study

from schedsearch.analysis import Run, open_run
from schedsearch.analysis.fidelity import Agreement, choice_in_words, choose_kind
from schedsearch.config import StudyConfig
from schedsearch.errors import RunError, StorageError
from schedsearch.search.events import Chosen, OnEvent
from schedsearch.search.fidelity_check import train_checks, wait_for_checks
from schedsearch.search.plan import Plan, make_plan
from schedsearch.search.rungs import Rungs
from schedsearch.storage.place import study_ids
from schedsearch.storage.records import FIDELITY, PREFIX
from schedsearch.training import Engine, threads
from schedsearch.training.range_test import run_range_test


def settle_base_lr(
    storage: RDBStorage | None, name: str, plan: Plan, on_event: OnEvent | None = None
) -> Plan:
    """Give a plan the range of base rates that its run was made with, or that of a range test.

    Args:
        storage: where the run may be; None: it is not there yet.
        name: the run's name.
        plan: of a study with base_lr = "auto"; another one is returned as it is.
        on_event: told of the range.

    Raises:
        ConfigError: the loss falls at no rate.
    """
    if plan.config.space.base_lr != "auto":
        return plan
    stored = {} if storage is None else _stored(storage, name).get("identity", {})
    if "space.base_lr" in stored:
        low, high = stored["space.base_lr"]
        settled, text = plan.with_base_lr((low, high)), f"base_lr = {low:g} to {high:g}, as before"
    else:
        with threads(plan.config.training.threads or 1):
            test = run_range_test(plan.task, plan.optimizer, plan.config.seed)
        settled, text = plan.with_base_lr(test.chosen, test), test.sentence()
    if on_event is not None:
        on_event(Chosen(text))
    return settled


def settle_rungs(
    run: Run,
    study: Study,
    plan: Plan,
    engine: Engine,
    lock: AbstractContextManager[object],
    on_event: OnEvent,
    after: int = 0,
) -> Plan:
    """Train the schedules that check the rungs; where they are a pilot, choose the kind by them.

    Args:
        run: the run.
        study: its study.
        plan: what it does.
        engine: what trains.
        lock: held while trials are asked, and while the choice is written.
        on_event: told of each schedule, and of the choice.
        after: the optimizer steps that are planned for after the check.

    Returns:
        the plan, with rungs of a kind that can be searched with.
    """
    if plan.rungs.kind != "auto":
        train_checks(study, plan, engine, lock, on_event, after)
        return plan
    choice = _stored(run.storage, run.name).get(FIDELITY)
    if choice is None:
        train_checks(study, plan, engine, lock, on_event, after)
        while not wait_for_checks(study, plan):  # others train a part of it: theirs count too
            train_checks(study, plan, engine, lock, on_event, after)
        with lock:
            choice = _stored(run.storage, run.name).get(FIDELITY)
            if choice is None:
                choice = _choose(run, plan.rungs)
                run.storage.set_study_system_attr(study._study_id, f"{PREFIX}{FIDELITY}", choice)
    elif choice["kind"] != "full":
        train_checks(study, plan, engine, lock, on_event, after)  # there may be more of them now
    on_event(Chosen(choice["text"]))
    return with_choice(plan, choice)


def _choose(run: Run, rungs: Rungs) -> dict[str, Any]:
    squeezed, truncated = run.pilot(rungs.horizons)
    kind = choose_kind(squeezed, truncated)
    return {
        "kind": kind,
        "text": choice_in_words(kind, squeezed, truncated),
        "squeeze": rows(squeezed),
        "truncate": rows(truncated),
    }


def with_choice(plan: Plan, choice: dict[str, Any]) -> Plan:
    """Give a plan rungs of the kind that was chosen."""
    if choice["kind"] == "full":
        return replace(plan, rungs=Rungs("full", plan.rungs.horizons[-1:]))
    return replace(plan, rungs=replace(plan.rungs, kind=choice["kind"]))


def rows(found: list[Agreement]) -> list[dict[str, Any]]:
    """Give agreements as plain values; what is no number is None."""
    every = [each.row() for each in found]
    return [
        {k: None if isinstance(v, float) and isnan(v) else v for k, v in row.items()}
        for row in every
    ]


def preview(config: StudyConfig, runs_dir: Path, storage: str | None, device: str) -> Plan:
    """Make a plan that is settled as far as it can be without storing anything.

    Raises:
        SchedsearchError: whatever would stop the study, in one line.
    """
    plan = make_plan(config, device)
    if config.space.base_lr != "auto" and plan.rungs.kind != "auto":
        return plan
    try:
        where = (str(storage), config.name) if storage else (runs_dir / config.name, None)
        run = open_run(*where)
    except (RunError, StorageError):  # it doesn't exist yet
        return settle_base_lr(None, config.name, plan)
    plan = settle_base_lr(run.storage, run.name, plan)
    choice = run.attributes.get(FIDELITY)
    return plan if choice is None or plan.rungs.kind != "auto" else with_choice(plan, choice)


def _stored(storage: RDBStorage, name: str) -> dict[str, Any]:
    """Return what a run stores of itself; nothing where there is no such run."""
    study_id = study_ids(storage, name).get(name)
    attrs = {} if study_id is None else storage.get_study_system_attrs(study_id)
    return {k.removeprefix(PREFIX): v for k, v in attrs.items() if k.startswith(PREFIX)}
