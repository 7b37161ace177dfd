"""Launch a study from start to end: search, confirm, read the test split once, write best.json."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock
from optuna.study import Study, load_study

from schedsearch.analysis import Run
from schedsearch.conclude import Conclusion
from schedsearch.config import Confirmation, StudyConfig, load_config, parse_config
from schedsearch.errors import RunError
from schedsearch.search.clock import Clock
from schedsearch.search.confirm import confirming_runs, tested_runs
from schedsearch.search.events import Chosen, Event, Note, OnEvent
from schedsearch.search.opening import open_study
from schedsearch.search.plan import Plan, make_plan
from schedsearch.search.shares import steps_of_search, waves_of
from schedsearch.search.study import search
from schedsearch.settle import rows, settle_base_lr, settle_rungs
from schedsearch.storage.checks import checks_name
from schedsearch.storage.connect import absolute, open_storage
from schedsearch.storage.place import (
    BEST,
    LOCK,
    REPORT,
    as_named_inside,
    make_folder,
    place_run,
    study_ids,
)
from schedsearch.storage.records import FINISHED, PREFIX
from schedsearch.training import REFERENCE, Engine, Waves, choose_engine


def _silent(event: Event) -> None:
    pass


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a launch gives: the run, where its time went, the winner's test score, and its files.

    While other processes still train, test is empty: the last of them concludes the run.
    """

    run: Run
    clock: Clock
    test: dict[str, Any]
    best_path: Path
    report_path: Path | None = None


def run_study(
    study_file: StudyConfig | str | Path,
    *,
    runs_dir: str | Path = "runs",
    storage: str | None = None,
    device: str = "auto",
    report: bool = True,
    on_event: OnEvent = _silent,
) -> Outcome:
    """Run a study, or go on with it: what `schedsearch run` does.

    Args:
        study_file: a study file, or its content.
        runs_dir: where the run's folder is made.
        storage: a database URL (default: a SQLite file in the run's folder).
        device: "auto", "cpu", "cuda", "cuda:1" ...
        report: whether report.html is written at the end.
        on_event: told of each trial.

    Raises:
        SchedsearchError: whatever a person can mend, in one line.
    """
    config = study_file if isinstance(study_file, StudyConfig) else load_config(Path(study_file))
    plan = make_plan(config, device)
    folder = Path(runs_dir) / config.name
    if storage is not None:
        storage = absolute(storage)
        open_storage(storage)  # of one that doesn't answer no folder is made
    for text in plan.notes:
        on_event(Note(text))
    place = place_run(config.name, Path(runs_dir), storage)
    lock = FileLock(folder / LOCK)
    with lock:  # two processes at once can't create the same tables
        database = open_storage(place.url)
        place = as_named_inside(place, database)
        plan = settle_base_lr(database, place.name, plan, on_event)
        study = open_study(database, place, plan)
        plan = settle_base_lr(database, place.name, plan)  # another machine may have been first
    run = Run(place, database, study._storage)
    engine = _engine(plan, run, study, on_event)
    last = (confirming_runs(plan) + tested_runs(plan)) * plan.total_steps
    with _terminated_as_interrupted():
        after = last + steps_of_search(plan, _left(plan, run))
        plan = settle_rungs(run, study, plan, engine, lock, on_event, after)
        clock = search(study, plan, engine, lock, on_event, last)
        _store_agreements(run)
        test = Conclusion(
            run,
            study,
            plan,
            lambda runs, own: _engine_of_confirmation(engine, plan, runs, own, on_event),
            lock,
            folder / BEST,
            on_event,
            engine.threads_of_one,
        ).draw()
    page = _report(run, folder / REPORT, on_event) if report and test else None
    return Outcome(run, clock, test, folder / BEST, page)


def confirm_run(
    run: Run,
    *,
    runs_dir: str | Path = "runs",
    seeds: int | None = None,
    finalists: int | None = None,
    device: str = "auto",
    on_event: OnEvent = _silent,
) -> Outcome:
    """Confirm the best schedules of a run, or add seeds: what `schedsearch confirm` does.

    Args:
        run: the run.
        runs_dir: where best.json goes, of a run that was found by its URL.
        seeds: fresh seeds in all (default: as the study says, or 8); never fewer than there are.
        finalists: the best so many of the search; never fewer than there are. Not in rank mode,
            where it is the best of each family.
        device: "auto", "cpu", "cuda", "cuda:1" ...
        on_event: told of each run.

    Raises:
        SchedsearchError: whatever a person can mend, in one line.
    """
    stored = run.config
    if finalists is not None and stored.mode == "rank":
        raise RunError(
            f"finalists = {finalists}: {run.name!r} ranks families (mode = 'rank'), so the best of "
            "each is confirmed, whatever their number"
        )
    wish: dict[str, Any] = stored.confirmation.model_dump()
    wish["seeds"] = seeds or wish["seeds"] or Confirmation().seeds
    wish["finalists"] = finalists or wish["finalists"]
    content = stored.model_dump() | {"confirmation": wish}
    plan = make_plan(parse_config(content, f"the study of {run.name!r}"), device)
    folder = run.place.folder or Path(runs_dir) / run.name
    make_folder(folder)
    lock = FileLock(folder / LOCK)
    plan = settle_base_lr(run.storage, run.name, plan)
    study = load_study(study_name=run.name, storage=run.storage)
    if not len(run.trials()):
        raise RunError(f"the run {run.name!r} has no finished trial to confirm")
    with _terminated_as_interrupted():
        test = Conclusion(
            run,
            study,
            plan,
            lambda runs, own: _engine_of_confirmation(REFERENCE, plan, runs, own, on_event),
            lock,
            folder / BEST,
            on_event,
        ).draw()
    page = _report(run, folder / REPORT, on_event) if test else None
    return Outcome(run, Clock(), test, folder / BEST, page)


def _report(run: Run, path: Path, on_event: OnEvent) -> Path | None:
    """Write the report, and say where; what hinders it is told, and never costs the run."""
    try:
        from schedsearch.outputs.report import export_report

        export_report([run], path)
        return path
    except Exception as error:
        text = " ".join(str(error).split())[:200] or type(error).__name__
        on_event(Note(f"no report: {text}"))
        return None


def _engine_of_confirmation(
    engine: Engine, plan: Plan, runs: int, own: bool, on_event: OnEvent
) -> Engine:
    """Take the engine of the search; measure one for other batches, or where it trained nothing."""
    if engine is not REFERENCE and not own:
        return engine
    chosen = choose(plan, [(runs, plan.total_steps)], runs * plan.total_steps, own=own)
    on_event(Chosen(f"engine of the confirmation: {chosen.summary}; {chosen.reason}"))
    return chosen


def _engine(plan: Plan, run: Run, study: Study, on_event: OnEvent) -> Engine:
    """Choose the engine by measuring, tell and store it; a run that has its total needs none."""
    left = _left(plan, run)
    if not left:
        return REFERENCE
    steps = steps_of_search(plan, left)
    engine = choose(plan, waves_of(plan, left), steps)
    on_event(Chosen(f"engine: {engine.summary}; {engine.reason}"))
    study._storage.set_study_system_attr(study._study_id, f"{PREFIX}engine", engine.describe())
    return engine


def _left(plan: Plan, run: Run) -> int:
    """Count the trials that are missing for the total."""
    finished = sum(t.state in FINISHED for t in run.search_trials())
    return max(0, plan.config.trials - finished)


def choose(
    plan: Plan,
    waves: Waves,
    steps: int,
    *,
    own: bool = False,
    compiles: bool = True,
) -> Engine:
    """Choose a plan's engine by measuring; see `choose_engine`."""
    training = plan.config.training
    return choose_engine(
        plan.task,
        plan.optimizer,
        asked=training.engine,
        stack=training.stack or None,
        thread_count=training.threads or None,
        waves=waves,
        steps=steps,
        own=own,
        compiles=compiles,
    )


def _store_agreements(run: Run) -> None:
    """Store, with the schedules that check the rungs, what they say of them."""
    study_id = study_ids(run.storage, run.name).get(checks_name(run.name))
    if study_id is not None:
        found = rows(run.agreements())
        run.storage.set_study_system_attr(study_id, f"{PREFIX}agreements", found)


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM (a cluster's time limit) end a search as Ctrl-C does: trials are given back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(signum: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
