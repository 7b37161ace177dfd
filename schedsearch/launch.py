"""Launch a study from start to end: search, confirm, read the test split once, write best.json.

study file -> draft -> run (storage) -> pilot or checks -> plan -> search -> finish
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock
from optuna.storages import RDBStorage
from optuna.study import Study, load_study

from schedsearch.compat import is_gone, storage_of, study_id_of
from schedsearch.config import Confirmation, StudyConfig, parse_config, study_of
from schedsearch.confirmation.confirm import confirming_trainings
from schedsearch.errors import RunError, StorageError
from schedsearch.fidelity.checks import train_checks
from schedsearch.fidelity.pilot import choose_by_pilot, chosen_kind, store_agreements
from schedsearch.finish import Winner, finish, scored_trainings, write_report
from schedsearch.imports import find_beside
from schedsearch.interrupts import terminated_as_interrupted
from schedsearch.progress.listening import listening
from schedsearch.search.context import Context, open_context
from schedsearch.search.create import open_study, refuse_another_task, stored_peak_lr
from schedsearch.search.draft import Draft, draft_of
from schedsearch.search.events import Note, OnEvent
from schedsearch.search.given_task import Given, keys_of, refuse_absent, what_is_given
from schedsearch.search.peak_lr import PeakRange, find_peak_range, range_as_before, range_as_given
from schedsearch.search.plan import Plan
from schedsearch.search.results import Terms
from schedsearch.search.search import run_search
from schedsearch.search.timing import Clock
from schedsearch.search.trainers import Trainers
from schedsearch.store.connect import absolute, open_storage
from schedsearch.store.place import BEST, LOCK, REPORT, as_named_inside, make_folder, place_run
from schedsearch.store.records import FINISHED, PREFIX
from schedsearch.store.run import Run, open_run
from schedsearch.tasks.task import TaskSource
from schedsearch.training.own.task import Function


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a launch gives.

    Args:
        run: the run.
        clock: where the time of the search went.
        winner: the best schedule; None while other processes still train: the last of them
            concludes the run.
        best_path: where best.json is.
        report_path: where report.html is; None where none was written.
    """

    run: Run
    clock: Clock
    winner: Winner | None
    best_path: Path
    report_path: Path | None = None


def run_study(
    study: StudyConfig | Mapping[str, Any] | str | Path,
    *,
    task: TaskSource | None = None,
    trainer: Function | None = None,
    runs_dir: str | Path = "runs",
    storage: str | None = None,
    device: str = "auto",
    report: bool = True,
    progress: bool = True,
    on_event: OnEvent | None = None,
) -> Outcome:
    """Run a study, or go on with it: what `schedsearch run` does.

    Args:
        study: a study file, beside which modules of your own are found too; or its content, as a
            `StudyConfig` or a dict (one without a name is named after its task).
        task: what is trained, instead of the study's own `task`. The run stores its name only: to
            go on with it, or to confirm it, give the task again.
        trainer: a function `(schedule, total_steps, seed, report)` that trains instead: likewise.
        runs_dir: where the folder of the run is made.
        storage: a database URL (default: a SQLite file in the run's folder).
        device: "auto", "cpu", "cuda", "cuda:1" ...
        report: whether report.html is written at the end.
        progress: whether progress is shown, in the notebook or on standard error.
        on_event: told of what goes on, instead of showing progress.

    Raises:
        SchedsearchError: whatever a person can mend, in one line.
    """
    if isinstance(study, str | Path):
        find_beside(Path(study))
    given = what_is_given(task, trainer)
    config = study_of(study, keys_of(given))
    with listening(on_event, progress=progress) as told:
        return _run(config, given, Path(runs_dir), storage, device, report=report, on_event=told)


def _run(
    config: StudyConfig,
    given: Given | None,
    runs_dir: Path,
    storage: str | None,
    device: str,
    *,
    report: bool,
    on_event: OnEvent,
) -> Outcome:
    folder = runs_dir / config.name
    if given is None:
        refuse_absent(config, lambda: _stored(config, runs_dir, storage))
    draft = draft_of(config, device, given)
    if storage is not None:
        storage = absolute(storage)
        open_storage(storage)  # of one that doesn't answer no folder is made
    for text in draft.notes:
        on_event(Note(text))
    place = place_run(config.name, runs_dir, storage)
    lock = FileLock(folder / LOCK)
    with lock:  # two processes at once can't create the same tables
        database = open_storage(place.url)
        place = as_named_inside(place, database)
        peak = _peak_lr(draft, database, place.name, on_event)
        study = open_study(database, place, draft, peak)
        peak = stored_peak_lr(database, place.name) or peak  # another machine may have been first
    run = Run(place, database, storage_of(study))
    with _working(run, study, lock, on_event) as context:
        plan, trainers = _search(context, draft, peak, folder)
        winner = finish(context, plan, trainers, folder / BEST)
    page = write_report(run, folder / REPORT, on_event) if report and winner else None
    return Outcome(run, context.clock, winner, folder / BEST, page)


def _stored(config: StudyConfig, runs_dir: Path, storage: str | None) -> Run:
    """Return the run of a study; raises RunError or StorageError where there is none."""
    return open_run(*((storage, config.name) if storage else (runs_dir / config.name, None)))


def confirm_run(
    run: Run,
    *,
    task: TaskSource | None = None,
    trainer: Function | None = None,
    runs_dir: str | Path = "runs",
    seeds: int | None = None,
    finalists: int | None = None,
    device: str = "auto",
    progress: bool = True,
    on_event: OnEvent | None = None,
) -> Outcome:
    """Confirm the best schedules of a run, or add seeds: what `schedsearch confirm` does.

    Args:
        run: the run.
        task: what it trains, where `run_study` was given that as a value.
        trainer: what trains it, likewise.
        runs_dir: where best.json goes, of a run that was found by its URL.
        seeds: fresh seeds in all (default: as the study says, or 8); never fewer than there are.
        finalists: how many of the best of the search; never fewer than there are. Not in rank
            mode, where it is the best of each family.
        device: "auto", "cpu", "cuda", "cuda:1" ...
        progress: whether progress is shown, in the notebook or on standard error.
        on_event: told of what goes on, instead of showing progress.

    Raises:
        SchedsearchError: whatever a person can mend, in one line.
    """
    given = what_is_given(task, trainer)
    with listening(on_event, progress=progress) as told:
        return _confirm(run, given, Path(runs_dir), seeds, finalists, device, told)


def _confirm(
    run: Run,
    given: Given | None,
    runs_dir: Path,
    seeds: int | None,
    finalists: int | None,
    device: str,
    on_event: OnEvent,
) -> Outcome:
    stored = run.config
    if finalists is not None and stored.mode == "rank":
        raise RunError(
            f"finalists = {finalists}: {run.name!r} ranks families (mode = 'rank'), so the best of "
            "each is confirmed, whatever their number"
        )
    said = stored.confirmation
    wish = {"seeds": seeds or said.seeds or Confirmation().seeds}
    wish["finalists"] = finalists or said.finalists
    content = stored.model_dump() | {"confirmation": said.model_dump() | wish}
    if given is None:
        refuse_absent(stored, lambda: run)
    draft = draft_of(parse_config(content, run.name, stored=True), device, given)
    refuse_another_task(run, draft)
    folder = run.place.folder or runs_dir / run.name
    make_folder(folder)
    plan = _preview_of(draft, run).plan
    study = load_study(study_name=run.name, storage=run.storage)
    if not len(run.trials()):
        raise RunError(f"the run {run.name!r} has no finished trial to confirm")
    lock = FileLock(folder / LOCK)
    with _working(run, study, lock, on_event) as context:
        trainers = Trainers.of(plan, context, folder)
        winner = finish(context, plan, trainers, folder / BEST)
    page = write_report(run, folder / REPORT, on_event) if winner else None
    return Outcome(run, Clock(), winner, folder / BEST, page)


@dataclass(frozen=True, eq=False)
class Preview:
    """What a study would do, as far as it is known without storing anything.

    Args:
        plan: the plan; where a pilot is to choose the kind of the rungs, with squeezed ones.
        peak: the peak rates that are searched.
        kind_is_open: whether a pilot is still to choose the kind of the rungs.
        notes: what a person should know of it, in a line each.
    """

    plan: Plan
    peak: PeakRange
    kind_is_open: bool
    notes: tuple[str, ...]


def preview(config: StudyConfig, runs_dir: Path, storage: str | None, device: str) -> Preview:
    """Return what a study would do, without storing anything.

    Raises:
        SchedsearchError: whatever would stop the study, in one line.
    """
    draft = draft_of(config, device)
    try:
        return _preview_of(draft, _stored(config, runs_dir, storage))
    except (RunError, StorageError):  # it doesn't exist yet
        return _preview_of(draft, None)


def _preview_of(draft: Draft, run: Run | None) -> Preview:
    """Return what a draft would do; in a run that exists, what was decided is decided."""
    storage, name = (None, "") if run is None else (run.storage, run.name)
    peak = _peak_lr(draft, storage, name, lambda event: None)
    kind = chosen_kind(run) if run is not None and draft.kind_is_open else None
    assumed = draft.kind_is_open and kind is None
    plan = draft.assumed_plan(peak) if assumed else draft.plan(peak, kind)
    return Preview(plan, peak, assumed, draft.notes)


def _peak_lr(draft: Draft, storage: RDBStorage | None, name: str, on_event: OnEvent) -> PeakRange:
    """Return the peak rates: given or usual, as the run was made, or by a range test."""
    stored = None if storage is None else stored_peak_lr(storage, name)
    if not draft.peak_lr_is_open:
        return range_as_given(draft.given_peak_lr, stored, on_event)
    if stored is not None:
        return range_as_before(stored, on_event)
    count = draft.config.training.threads or None
    return find_peak_range(draft.recipe, draft.config.seed, thread_count=count, on_event=on_event)


def _search(context: Context, draft: Draft, peak: PeakRange, folder: Path) -> tuple[Plan, Trainers]:
    """Search until the run has its total of trials, and check the rungs."""
    run, assumed = context.run, draft.assumed_plan(peak)
    trainers = Trainers.of(assumed, context, folder)
    finished = sum(t.state in FINISHED for t in run.search_trials())
    left = max(0, assumed.trials - finished)
    last = (confirming_trainings(assumed) + scored_trainings(assumed)) * assumed.total_steps
    if left:
        trainer = trainers.for_search(assumed.waves(left), assumed.search_steps(left))
        storage, study_id = storage_of(context.study), study_id_of(context.study)
        storage.set_study_system_attr(study_id, f"{PREFIX}engine", trainer.way.describe())
    else:
        trainer = trainers.alone()
    terms, after = Terms.of(assumed), last + assumed.search_steps(left)
    checks = assumed.checks
    if draft.kind_is_open and checks is not None:
        kind = choose_by_pilot(context, terms, checks, trainer, after)
        plan = draft.plan(peak, kind)
    else:
        train_checks(context, terms, checks, trainer, after)
        plan = assumed
    plan = run_search(context, plan, trainer, last)
    store_agreements(run)
    return plan, trainers


@contextmanager
def _working(run: Run, study: Study, lock: FileLock, on_event: OnEvent) -> Iterator[Context]:
    """Open the context of a call; that the run was deleted meanwhile is said in one line."""
    try:
        with terminated_as_interrupted(), open_context(run, study, lock, on_event) as context:
            yield context
    except KeyError as error:
        if not is_gone(error):
            raise
        raise RunError(f"the run {run.name!r} was deleted meanwhile") from error
