"""Print the plan of a study: what it would train, and what that would take."""

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from schedsearch.config import StudyConfig
    from schedsearch.cost import Estimate
    from schedsearch.launch import Preview
    from schedsearch.search.plan import Plan
    from schedsearch.training.own.task import OwnTask


def print_estimate(config: "StudyConfig", runs_dir: Path, storage: str | None, device: str) -> None:
    """Print what a study would take, as one line of JSON."""
    from schedsearch.cli.show.json_lines import Planned, line_of
    from schedsearch.cost import estimate
    from schedsearch.launch import preview

    with redirect_stdout(sys.stderr):  # what a task of the user's own prints
        found = estimate(preview(config, runs_dir, storage, device).plan)
    planned = Planned(
        run=config.name,
        trials=found.trials,
        confirming=found.confirming,
        steps=found.steps,
        minutes=found.minutes,
        reference_minutes=found.reference_minutes,
        engine=found.way.summary,
        megabytes=found.megabytes,
    )
    typer.echo(line_of(planned))


def print_plan(config: "StudyConfig", runs_dir: Path, storage: str | None, device: str) -> None:
    """Print what a study would train, and what that would take, for a person."""
    from schedsearch.cost import estimate
    from schedsearch.launch import preview

    shown = preview(config, runs_dir, storage, device)
    found = estimate(shown.plan)
    lines = _where(shown.plan, runs_dir, storage) | _what(shown) | _how_much(shown, found)
    if found.reference_minutes is not None and found.way.kind != "reference":
        lines["engine"] = (
            f"{found.way.summary}: the reference engine would take "
            f"{found.reference_minutes:.1f} minutes; a long study may compile its step, "
            "and take less"
        )
    for key, text in lines.items():
        typer.echo(f"{key:<10} {text}")


def _where(plan: "Plan", runs_dir: Path, storage: str | None) -> dict[str, str]:
    from schedsearch.store.connect import masked

    return {
        "run": f"{plan.name}, in {runs_dir / plan.name}",
        "storage": masked(storage) if storage else "SQLite in that folder",
    }


def _what(shown: "Preview") -> dict[str, str]:
    from schedsearch.training.own.task import OwnTask

    plan, task = shown.plan, shown.plan.recipe.task
    families = ", ".join(family.name for family in plan.space.families)
    optimizer = plan.recipe.optimizer
    trained = {
        "task": f"{task.name} ({task.model_name}) on {task.device}",
        "optimizer": f"{optimizer.name} {dict(optimizer.args)}",
    }
    if isinstance(task, OwnTask):
        trained = {"trainer": f"{task.words}{_terms(task)}"}
    return trained | {
        "mode": _mode(plan),
        "families": f"{len(plan.space.families)}: {families}",
        "peak_lr": f"{_rates(shown)}; warm-up {plan.space.warmup}",
    }


def _how_much(shown: "Preview", found: "Estimate") -> dict[str, str]:
    plan = shown.plan
    confirms = "nothing (confirmation.seeds = 0)"
    if found.confirming:
        confirms = (
            f"{found.confirming} trainings more: {plan.confirmation.finalists} finalists and 2 "
            f"baselines on {plan.confirmation.seeds} fresh seeds, and tuning"
        )
    sampler = plan.searches[0].sampling.sampler
    return {
        "trials": f"{found.trials} of {plan.unit.say_both(plan.total_steps)}, each "
        f"{plan.recipe.evals} evaluations: {found.steps:,} steps",
        "confirms": confirms,
        "fidelity": "; ".join((_rungs(shown), *shown.notes)),
        "sampler": f"{sampler}, {plan.at_once} trials at once; pruner {plan.pruner}",
        "expected": f"{_minutes(found)} and {found.megabytes:.1f} MB",
    }


def _minutes(found: "Estimate") -> str:
    if found.minutes is None:
        return "as long as your own trainer takes,"
    return f"about {found.minutes:.1f} minutes"


def _terms(task: "OwnTask") -> str:
    """Return how a trainer of the user's own is started, in words."""
    limit = task.limit_seconds
    terms = [f"{task.parallel} at a time"] * (task.parallel > 1)
    terms += [] if limit is None else [f"each at most {limit / 60:g} minutes"]
    return "".join(f"; {term}" for term in terms)


def _mode(plan: "Plan") -> str:
    if plan.mode == "search":
        return "search: one study, whose trials sample the family"
    counts = sorted({part.trials for part in plan.searches})
    return f"rank: {' or '.join(map(str, counts))} trials of each family, a study for each"


def _rates(shown: "Preview") -> str:
    if shown.peak.test is not None:
        return shown.peak.test.sentence().removeprefix("peak_lr = ")
    return shown.peak.words()


def _rungs(shown: "Preview") -> str:
    """Return the horizons at which a plan tries its trials, in words."""
    plan = shown.plan
    rungs, checks = plan.rungs, 0 if plan.checks is None else plan.checks.trials
    if rungs.kind == "full":
        return "full: every trial is trained at the full horizon"
    steps = f"{', '.join(map(plan.unit.number, rungs.horizons))} {plan.unit.name}s"
    if shown.kind_is_open:
        pilot = f"a pilot of {checks} random schedules, at {steps}, chooses squeeze, truncate"
        return f"auto: {pilot} or full"
    parts = [f"{rungs.kind}: rungs at {steps}, the best 1/{rungs.eta} are promoted"]
    parts += [f"{checks} random schedules check them"] * bool(checks)
    return "; ".join(parts)
