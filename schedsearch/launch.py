"""Launch a study from start to end: search, read the test split once, write best.json."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock
from optuna.study import Study

from schedsearch.analysis import Best, Run
from schedsearch.config import StudyConfig, load_config
from schedsearch.errors import RunError
from schedsearch.horizon import evaluation_steps
from schedsearch.outputs.export import export_best
from schedsearch.schedules import Schedule
from schedsearch.search.asking import FINISHED
from schedsearch.search.events import Event, Note, OnEvent
from schedsearch.search.plan import Plan, make_plan
from schedsearch.search.score import score_on_test
from schedsearch.search.study import Clock, open_study, search
from schedsearch.storage.connect import absolute, open_storage
from schedsearch.storage.place import BEST, LOCK, as_named_inside, place_run
from schedsearch.storage.records import PREFIX
from schedsearch.training import REFERENCE, Engine, choose_engine, threads, train


def _silent(event: Event) -> None:
    pass


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a launch gives: the run, where its time went, the test score, and best.json.

    While other processes still train, test is empty: the last of them concludes the run.
    """

    run: Run
    clock: Clock
    test: dict[str, Any]
    best_path: Path


def run_study(
    study_file: StudyConfig | str | Path,
    *,
    runs_dir: str | Path = "runs",
    storage: str | None = None,
    device: str = "auto",
    on_event: OnEvent = _silent,
) -> Outcome:
    """Run a study, or go on with it: what `schedsearch run` does.

    Args:
        study_file: a study file, or its content.
        runs_dir: where the run's folder is made.
        storage: a database URL (default: a SQLite file in the run's folder).
        device: "auto", "cpu", "cuda", "cuda:1" ...
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
    place = place_run(config.name, Path(runs_dir), storage)
    lock = FileLock(folder / LOCK)
    with lock:  # two processes at once can't create the same tables
        database = open_storage(place.url)
        place = as_named_inside(place, database)
        study = open_study(database, place, plan)
    engine = _engine(plan, study, on_event)
    run = Run(place, database)
    with threads(engine.threads), _terminated_as_interrupted():
        clock = search(study, plan, engine, lock, on_event)
        best = _best(run)
        if best is None:
            return Outcome(run, clock, {}, folder / BEST)
        with lock:  # read once, also when two processes end at the same moment
            test = score_on_test(study, database, plan, best.trial, best.schedule)
    if test["diverged"]:
        on_event(Note("the best schedule diverged on a fresh seed: no test accuracy"))
    export_best(run, folder / BEST)
    return Outcome(run, clock, test, folder / BEST)


def _engine(plan: Plan, study: Study, on_event: OnEvent) -> Engine:
    """Choose the engine by measuring, tell and store it; a run that has its total needs none."""
    config, training = plan.config, plan.config.training
    finished = sum(t.state in FINISHED for t in study.get_trials(deepcopy=False))
    if finished >= config.trials:
        return REFERENCE
    engine = choose_engine(
        plan.task,
        plan.optimizer,
        asked=training.engine,
        stack=training.stack or None,
        thread_count=training.threads or None,
        batch=min(config.search.batch, config.trials - finished),
    )
    if training.engine != "reference":
        many = f", {engine.stack} runs at once" if engine.kind == "fused" else ""
        plural = "s" * (engine.threads != 1)
        count = f"{engine.threads} thread{plural}"
        on_event(Note(f"engine: {engine.kind}{many}, {count}; {engine.reason}"))
    study._storage.set_study_system_attr(study._study_id, f"{PREFIX}engine", engine.describe())
    return engine


def _best(run: Run) -> Best | None:
    """Return the best trial; None while others still train: the last of them concludes.

    Raises:
        RunError: the search is over, and none of its trials finished.
    """
    if run.being_trained():
        return None
    states = run.trials()["state"]
    if (states == "diverged").all():
        raise RunError(
            f"all {len(states)} trials of {run.name!r} diverged: the rates are too high for this "
            "model. Lower space.base_lr, and give the study another name"
        )
    return run.best


@dataclass(frozen=True)
class Estimate:
    """What a study will take, from a few measured steps."""

    trials: int
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
    return Estimate(
        trials=config.trials,
        steps=config.trials * plan.total_steps,
        minutes=config.trials * a_trial / 60,
        megabytes=0.2 + config.trials * (len(plan.eval_steps) * 130 + 4000) / 1e6,
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
