"""`schedsearch run`: launch a study, or go on with it."""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from schedsearch.cli.fidelity import describe_rungs, print_fidelity
from schedsearch.cli.options import RUNS_DIR, RunsDir, Storage

if TYPE_CHECKING:
    from schedsearch.launch import Outcome
    from schedsearch.search.plan import Plan


class EngineName(StrEnum):
    """How runs are trained."""

    reference = "reference"
    fused = "fused"
    auto = "auto"


def run(
    study: Annotated[Path, typer.Argument(metavar="STUDY.toml", help="A study file.")],
    trials: Annotated[
        int | None, typer.Option(min=1, help="The run's total of finished trials.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The run's name, and its folder's.")] = None,
    runs_dir: RunsDir = RUNS_DIR,
    storage: Storage = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")] = "auto",
    threads: Annotated[
        int | None, typer.Option(min=0, help="Intra-op threads on the CPU; 0: measured.")
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
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the result only.")] = False,
) -> None:
    """Run a study, or go on with it up to its total of trials.

    A second call goes on where the first one stopped, also after a kill. Several calls at once,
    here or on other machines with the same --storage, share the trials between them.

    Example:  schedsearch run studies/digits.toml --trials 100
    """
    from rich.console import Console

    from schedsearch.cli.beside import Beside
    from schedsearch.config import load_config, parse_config
    from schedsearch.launch import run_study
    from schedsearch.outputs.progress import make_display
    from schedsearch.search.plan import make_plan

    data = load_config(study).model_dump()
    data |= {k: v for k, v in (("trials", trials), ("name", name)) if v is not None}
    speed = {"threads": threads, "stack": stack, "engine": engine and engine.value}
    data["training"] |= {key: value for key, value in speed.items() if value is not None}
    config = parse_config(data, str(study))
    if dry_run:
        _print_plan(make_plan(config, device), runs_dir, storage)
        return
    console = Console(file=sys.stdout, soft_wrap=True)
    display = make_display(console, quiet=quiet)
    beside = Beside(display, config.name, runs_dir, storage, dashboard)
    with beside, display:
        try:
            outcome = run_study(
                config,
                runs_dir=runs_dir,
                storage=storage,
                device=device,
                report=report,
                on_event=beside,
            )
        except KeyboardInterrupt as interrupt:
            typer.echo(
                "schedsearch: interrupted: finished trials are kept, the running ones are back in "
                "the queue; the same command goes on",
                err=True,
            )
            raise typer.Exit(130) from interrupt
    _print_outcome(outcome)
    beside.stay()


def _print_plan(plan: "Plan", runs_dir: Path, storage: str | None) -> None:
    from schedsearch.launch import estimate
    from schedsearch.storage.connect import masked

    config, it = plan.config, estimate(plan)
    families = ", ".join(family.name for family in plan.space.families)
    warm, wish = plan.space.warmup, config.confirmation
    lines = {
        "run": f"{config.name}, in {runs_dir / config.name}",
        "storage": masked(storage) if storage else "SQLite in that folder",
        "task": f"{plan.task.name} ({plan.task.model_name}) on {plan.task.device}",
        "optimizer": f"{plan.optimizer.name} {dict(plan.optimizer.args)}",
        "families": f"{len(plan.space.families)}: {families}",
        "base_lr": f"{plan.space.base_lr.describe()}; warm-up {warm}",
        "trials": f"{it.trials} of {plan.total_steps} steps, each {len(plan.eval_steps)} "
        f"evaluations: {it.steps:,} steps",
        "confirms": f"{it.confirming} runs more: {wish.finalists} finalists and 2 references on "
        f"{wish.seeds} fresh seeds, and tuning"
        if it.confirming
        else "nothing (confirmation.seeds = 0)",
        "fidelity": describe_rungs(plan),
        "sampler": f"{config.search.sampler}, {plan.batch} trials at once; "
        f"pruner {config.search.pruner}",
        "expected": f"about {it.minutes:.1f} minutes and {it.megabytes:.1f} MB",
    }
    for key, text in lines.items():
        typer.echo(f"{key:<10} {text}")


def _print_outcome(outcome: "Outcome") -> None:
    from schedsearch.cli.confirm import print_confirmation
    from schedsearch.outputs.tables import render, short_params
    from schedsearch.schedules import Schedule

    run, clock = outcome.run, outcome.clock
    typer.echo(f"\nBest trial of each family ({run.name}):")
    typer.echo(render(run.leaderboard()))
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
