"""`schedsearch run`: launch a study, or go on with it."""

import json
import sys
from contextlib import redirect_stdout
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from schedsearch.cli.fidelity import describe_rungs, print_edge, print_fidelity
from schedsearch.cli.options import RUNS_DIR, RunsDir, Storage, print_table
from schedsearch.cli.telling import Json, Quiet, print_result, telling

if TYPE_CHECKING:
    from schedsearch.config import StudyConfig
    from schedsearch.launch import Outcome
    from schedsearch.search.plan import Plan


class EngineName(StrEnum):
    """How runs are trained."""

    reference = "reference"
    fused = "fused"
    auto = "auto"


class Mode(StrEnum):
    """What is asked."""

    search = "search"
    rank = "rank"


def run(
    study: Annotated[Path, typer.Argument(metavar="STUDY.toml", help="A study file.")],
    trials: Annotated[
        int | None, typer.Option(min=1, help="The run's total of finished trials.")
    ] = None,
    mode: Annotated[
        Mode | None,
        typer.Option(help="Search the best schedule, or rank families: as many trials for each."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="The run's name, and its folder's.")] = None,
    runs_dir: RunsDir = RUNS_DIR,
    storage: Storage = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")] = "auto",
    threads: Annotated[
        int | None, typer.Option(min=0, help="Threads on the CPU; 0: measured.")
    ] = None,
    engine: Annotated[
        EngineName | None, typer.Option(help="One run at a time, many at once, or what is faster.")
    ] = None,
    stack: Annotated[
        int | None, typer.Option(min=0, help="How many runs at once; 0: measured.")
    ] = None,
    report: Annotated[
        bool, typer.Option("--report/--no-report", help="Write report.html at the end.")
    ] = True,
    dashboard: Annotated[
        bool, typer.Option("--dashboard", help="Open the Optuna dashboard on it meanwhile.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan only.")] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Run a study, or go on with it up to its total of trials.

    A second call goes on where the first one stopped, also after a kill. Several calls at once,
    here or on other machines with the same --storage, share the trials between them.

    Example:  schedsearch run studies/digits.toml --trials 100
    """
    from schedsearch.cli.beside import Beside
    from schedsearch.config import load_config, parse_config
    from schedsearch.launch import run_study
    from schedsearch.settle import preview

    data = load_config(study).model_dump()
    given = {"trials": trials, "name": name, "mode": mode and mode.value}
    data |= {key: value for key, value in given.items() if value is not None}
    speed = {"threads": threads, "stack": stack, "engine": engine and engine.value}
    data["training"] |= {key: value for key, value in speed.items() if value is not None}
    config = parse_config(data, str(study))
    if dry_run:
        if as_json:
            _print_estimate(config, runs_dir, storage, device)
        else:
            _print_plan(preview(config, runs_dir, storage, device), runs_dir, storage)
        return
    kept = "finished trials are kept, the running ones are back in the queue"
    with (
        telling(quiet=quiet, json=as_json, kept=kept) as show,
        Beside(show, config.name, runs_dir, storage, dashboard) as beside,
    ):
        outcome = run_study(
            config,
            runs_dir=runs_dir,
            storage=storage,
            device=device,
            report=report,
            on_event=beside,
        )
    if as_json:
        print_result(outcome)
    else:
        _print_outcome(outcome)
    beside.stay()


def _print_estimate(
    config: "StudyConfig", runs_dir: Path, storage: str | None, device: str
) -> None:
    from schedsearch.estimate import estimate
    from schedsearch.outputs.machine import Planned, line_of
    from schedsearch.settle import preview

    with redirect_stdout(sys.stderr):  # what a task of the user's own prints
        found = estimate(preview(config, runs_dir, storage, device))
    said = vars(found) | {"engine": found.engine.summary}
    typer.echo(line_of(Planned(config.name, **said)))


def _print_plan(plan: "Plan", runs_dir: Path, storage: str | None) -> None:
    from schedsearch.estimate import estimate
    from schedsearch.search.shares import trials_at_once
    from schedsearch.storage.connect import masked

    config, it = plan.config, estimate(plan)
    families = ", ".join(family.name for family in plan.space.families)
    warm, wish = plan.space.warmup, config.confirmation
    lines = {
        "run": f"{config.name}, in {runs_dir / config.name}",
        "storage": masked(storage) if storage else "SQLite in that folder",
        "task": f"{plan.task.name} ({plan.task.model_name}) on {plan.task.device}",
        "optimizer": f"{plan.optimizer.name} {dict(plan.optimizer.args)}",
        "mode": _describe_mode(plan),
        "families": f"{len(plan.space.families)}: {families}",
        "base_lr": f"{_rates(plan)}; warm-up {warm}",
        "trials": f"{it.trials} of {plan.total_steps} steps, each {len(plan.eval_steps)} "
        f"evaluations: {it.steps:,} steps",
        "confirms": f"{it.confirming} runs more: {plan.finalists} finalists and 2 references on "
        f"{wish.seeds} fresh seeds, and tuning"
        if it.confirming
        else "nothing (confirmation.seeds = 0)",
        "fidelity": describe_rungs(plan),
        "sampler": f"{config.search.sampler}, {trials_at_once(plan)} trials at once; "
        f"pruner {config.search.pruner}",
        "expected": f"about {it.minutes:.1f} minutes and {it.megabytes:.1f} MB",
    }
    if it.engine.kind == "fused":
        lines["engine"] = (
            f"{it.engine.summary}: the reference engine would take {it.reference_minutes:.1f} "
            "minutes; a long study may compile its step, and take less"
        )
    for key, text in lines.items():
        typer.echo(f"{key:<10} {text}")


def _describe_mode(plan: "Plan") -> str:
    from schedsearch.search.shares import plans_of_shares

    if plan.config.mode == "search":
        return "search: one study, whose trials sample the family"
    counts = sorted({share.config.trials for share in plans_of_shares(plan)})
    return f"rank: {' or '.join(map(str, counts))} trials of each family, a study for each"


def _rates(plan: "Plan") -> str:
    if plan.range_test is not None:
        return plan.range_test.sentence().removeprefix("base_lr = ")
    as_made = ", as the run was made" * (plan.config.space.base_lr == "auto")
    return f"{plan.space.base_lr.describe()}{as_made}"


def _print_outcome(outcome: "Outcome") -> None:
    from schedsearch.cli.confirm import print_confirmation
    from schedsearch.outputs.tables import short_params
    from schedsearch.schedules import Schedule

    run, clock = outcome.run, outcome.clock
    ranks = run.config.mode == "rank"
    title = "Families ranked by the best trial of each" if ranks else "Best trial of each family"
    typer.echo(f"\n{title} ({run.name}):")
    print_table(run.leaderboard())
    print_edge(run)
    print_fidelity(run)
    if not outcome.test:
        typer.echo("\nOther processes still train; the one that ends last writes best.json")
        return
    confirmed = run.confirmed_now
    if confirmed is not None:
        print_confirmation(confirmed)
    schedule = Schedule.from_dict(outcome.test["schedule"])
    params = short_params(json.dumps(schedule.to_dict()["params"]))
    warm = f" warm-up={schedule.warmup.frac:.3g}" if schedule.warmup else ""
    typer.echo(
        f"\n{'Winner' if confirmed else 'Best, not confirmed on fresh seeds'}: "
        f"{schedule.family} with base_lr={schedule.base_lr:.4g}{warm} {params}".rstrip()
    )
    if outcome.test["test_accuracy"] is not None:
        accuracy = outcome.test["test_accuracy"]
        typer.echo(f"Test accuracy, trained once more on a fresh seed: {accuracy:.4f}")
    if clock.trials:
        n = clock.trials
        typer.echo(
            f"Training took {clock.training / n:.2f} s a trial; the harness added "
            f"{(clock.sampling + clock.storing) / n * 1000:.0f} ms a trial "
            f"({clock.sampling / n * 1000:.0f} sampling, {clock.storing / n * 1000:.0f} storing)"
        )
    if outcome.report_path is not None:
        typer.echo(f"To look at: {outcome.report_path}")
    typer.echo(f"Written to {outcome.best_path}. Reuse it in your own training:")
    typer.echo(
        f"    scheduler = schedsearch.load_schedule({str(outcome.best_path)!r})"
        ".build(optimizer, total_steps=...)"
    )
