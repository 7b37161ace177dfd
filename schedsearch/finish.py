"""Finish a run whose search is over: confirm, read the test split once, write best.json, report."""

from dataclasses import dataclass
from pathlib import Path

from schedsearch.confirmation.baselines import BASELINES
from schedsearch.confirmation.claim import Confirmation
from schedsearch.confirmation.confirm import confirm
from schedsearch.confirmation.measure import read_test_split
from schedsearch.confirmation.read import confirmation_of, last_confirmation
from schedsearch.confirmation.record import FINALIST
from schedsearch.confirmation.scores import Score, score_of
from schedsearch.errors import RunError, SchedsearchError
from schedsearch.report.best_json import export_best
from schedsearch.schedules.schedule import Schedule
from schedsearch.search.context import Context
from schedsearch.search.events import Note, OnEvent
from schedsearch.search.plan import Plan
from schedsearch.search.trainers import Trainers
from schedsearch.store.run import Run


@dataclass(frozen=True)
class Winner:
    """The best schedule of a run.

    Args:
        schedule: the schedule.
        trial: the number of its trial in the search; None for a baseline that was tuned for the
            confirmation.
        score: what it reached on the test split; None where the task has none.
    """

    schedule: Schedule
    trial: int | None
    score: Score | None


def scored_trainings(plan: Plan) -> int:
    """Return the most trainings before the test split is read: the winner, and the baselines."""
    if not plan.recipe.task.has_test:
        return 0
    return 1 + len(BASELINES) if plan.confirmation.seeds else 1


def finish(context: Context, plan: Plan, trainers: Trainers, best_path: Path) -> Winner | None:
    """Conclude a run whose search is over; what was done before is not done again.

    Args:
        context: what all phases share.
        plan: what the study does.
        trainers: gives the trainer of each phase.
        best_path: where best.json is written.

    Returns:
        The winner; None while other processes still train.

    Raises:
        RunError: no schedule is left that did not diverge; or the test split can't be measured,
            and then best.json is written without it.
    """
    run = context.run
    if run.being_searched():
        return None
    _refuse_when_all_diverged(run)
    if plan.confirmation.seeds or confirmation_of(run) is not None:
        after = scored_trainings(plan) * plan.total_steps
        if confirm(context, plan, trainers, after) is None:
            return None
        schedules, trial = _confirmed(run)
    else:
        best = run.best
        schedules, trial = [best.schedule], best.trial
    score = None
    if plan.recipe.task.has_test:
        try:
            if not read_test_split(context, plan, trainers, schedules):
                return None
        except SchedsearchError as error:
            export_best(run, best_path)  # a search is not lost to what comes after it
            raise RunError(
                f"{error} (the search is kept, and its best is in {best_path}: mend this, and run "
                "the study again)"
            ) from error
        score = score_of(run, schedules[0])
        if score is None:
            raise RunError(f"the run {run.name!r} was deleted meanwhile")
        if score.diverged:
            text = (
                "the best schedule diverged on a fresh seed: nothing was measured on the test split"
            )
            context.on_event(Note(text))
    export_best(run, best_path)
    return Winner(schedules[0], trial, score)


def _confirmed(run: Run) -> tuple[list[Schedule], int | None]:
    """Return the schedules that are measured on the test split, the winner first."""
    confirmed: Confirmation | None = last_confirmation(run)
    if confirmed is None:
        raise RunError(
            f"all finalists of {run.name!r} diverged on fresh seeds: the rates are too "
            "high for this model. Lower space.peak_lr, and give the study another name"
        )
    winner = confirmed.winner.finalist
    others = [f for f in confirmed.basis.finalists if set(f.roles) != {FINALIST}]
    return [winner.schedule, *(f.schedule for f in others)], winner.trial


def _refuse_when_all_diverged(run: Run) -> None:
    states = run.trials()["state"]
    if (states == "diverged").all():
        raise RunError(
            f"all {len(states)} trials of {run.name!r} diverged: the rates are too high for this "
            "model. Lower space.peak_lr, and give the study another name"
        )


def write_report(run: Run, path: Path, on_event: OnEvent) -> Path | None:
    """Write the report, and return where; what hinders it is told, and never costs the run."""
    try:
        from schedsearch.report.page import export_report

        export_report([run], path)
        return path
    except Exception as error:
        text = " ".join(str(error).split())[:200] or type(error).__name__
        on_event(Note(f"no report: {text}"))
        return None
