"""Launch a study from start to end: search, confirm, read the test split once, write best.json."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

from filelock import FileLock
from optuna.study import Study, load_study

from schedsearch.analysis import Run
from schedsearch.conclude import Conclusion
from schedsearch.config import Confirmation, StudyConfig, load_config, parse_config
from schedsearch.errors import RunError
from schedsearch.horizon import evaluation_steps
from schedsearch.schedules import Schedule
from schedsearch.search.asking import FINISHED
from schedsearch.search.clock import Clock
from schedsearch.search.events import Chosen, Event, Note, OnEvent
from schedsearch.search.fidelity_check import check_steps, train_checks
from schedsearch.search.opening import open_study
from schedsearch.search.plan import Plan, make_plan
from schedsearch.search.references import ALL, RATES
from schedsearch.search.study import search
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
from schedsearch.storage.records import PREFIX
from schedsearch.training import REFERENCE, Engine, choose_engine, threads, train


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
        study = open_study(database, place, plan)
    engine = _engine(plan, study, on_event)
    run = Run(place, database, study._storage)
    with _terminated_as_interrupted():
        train_checks(study, plan, engine, lock, on_event)
        clock = search(study, plan, engine, lock, on_event)
        _store_agreements(run)
        test = Conclusion(
            run,
            study,
            plan,
            lambda runs: _engine_of_confirmation(engine, plan, runs, on_event),
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
        finalists: the best so many of the search; never fewer than there are.
        device: "auto", "cpu", "cuda", "cuda:1" ...
        on_event: told of each run.

    Raises:
        SchedsearchError: whatever a person can mend, in one line.
    """
    stored = run.config
    wish: dict[str, Any] = stored.confirmation.model_dump()
    wish["seeds"] = seeds or wish["seeds"] or Confirmation().seeds
    wish["finalists"] = finalists or wish["finalists"]
    content = stored.model_dump() | {"confirmation": wish}
    plan = make_plan(parse_config(content, f"the study of {run.name!r}"), device)
    folder = run.place.folder or Path(runs_dir) / run.name
    make_folder(folder)
    lock = FileLock(folder / LOCK)
    study = load_study(study_name=run.name, storage=run.storage)
    if not len(run.trials()):
        raise RunError(f"the run {run.name!r} has no finished trial to confirm")
    with _terminated_as_interrupted():
        test = Conclusion(
            run,
            study,
            plan,
            lambda runs: _engine_of_confirmation(REFERENCE, plan, runs, on_event),
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


def _engine_of_confirmation(engine: Engine, plan: Plan, runs: int, on_event: OnEvent) -> Engine:
    """Take the engine of the search; measure one where the search trained nothing."""
    if engine is not REFERENCE:
        return engine
    return _measured(plan, runs, runs * plan.total_steps, on_event)


def _engine(plan: Plan, study: Study, on_event: OnEvent) -> Engine:
    """Choose the engine by measuring, tell and store it; a run that has its total needs none."""
    config = plan.config
    finished = sum(t.state in FINISHED for t in study.get_trials(deepcopy=False))
    if finished >= config.trials:
        return REFERENCE
    left = config.trials - finished
    engine = _measured(plan, min(plan.batch, left), plan.search_steps(left), on_event)
    study._storage.set_study_system_attr(study._study_id, f"{PREFIX}engine", engine.describe())
    return engine


def _measured(plan: Plan, batch: int, steps: int, on_event: OnEvent) -> Engine:
    """Choose the engine by measuring, and tell which."""
    training = plan.config.training
    engine = choose_engine(
        plan.task,
        plan.optimizer,
        asked=training.engine,
        stack=training.stack or None,
        thread_count=training.threads or None,
        batch=batch,
        steps=steps,
    )
    on_event(Chosen(f"engine: {engine.summary}; {engine.reason}"))
    return engine


def _store_agreements(run: Run) -> None:
    """Store, with the schedules that check the rungs, what they say of them."""
    study_id = study_ids(run.storage, run.name).get(checks_name(run.name))
    if study_id is not None:
        found = [each.row() for each in run.agreements()]
        rows = [{k: None if isnan(v) else v for k, v in row.items()} for row in found]
        run.storage.set_study_system_attr(study_id, f"{PREFIX}agreements", rows)


@dataclass(frozen=True)
class Estimate:
    """What a study will take, from a few measured steps; `confirming`: at most so many runs."""

    trials: int
    confirming: int
    steps: int
    minutes: float
    megabytes: float


def estimate(plan: Plan, *, steps: int = 40) -> Estimate:
    """Train a few steps of the plan's task, and reckon with them what the study will take."""
    config, torch_steps = plan.config, max(2, min(steps, plan.total_steps))
    with threads(config.training.threads or 1):
        schedule = Schedule("Constant", plan.space.base_lr.low)

        def seconds(eval_steps: tuple[int, ...]) -> float:
            started = time.perf_counter()
            train(
                plan.task,
                [schedule],
                total_steps=torch_steps,
                seed=plan.seed,
                eval_steps=eval_steps,
                optimizer=plan.optimizer,
            )
            return time.perf_counter() - started

        seconds((torch_steps,))  # the first steps of a process are slow
        one = seconds((torch_steps,))
        two = seconds(evaluation_steps(torch_steps, 2))
    an_eval = max(two - one, 0.0)
    a_step = max(one - 2 * an_eval, 0.0) / torch_steps
    a_trial = a_step * plan.total_steps + an_eval * (len(plan.eval_steps) + 1) + _OVERHEAD_SECONDS
    wish, references = config.confirmation, len(ALL)
    confirming = wish.seeds * (wish.finalists + references) + references * RATES * bool(wish.seeds)
    runs, steps = config.trials + confirming, plan.search_steps(config.trials)
    full_runs = (steps + check_steps(plan)) / plan.total_steps + confirming
    return Estimate(
        trials=config.trials,
        confirming=confirming,
        steps=steps,
        minutes=full_runs * a_trial / 60,
        megabytes=0.2 + runs * (len(plan.eval_steps) * 130 + 4000) / 1e6,
    )


_OVERHEAD_SECONDS = 0.05  # sampling and storing one trial


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
