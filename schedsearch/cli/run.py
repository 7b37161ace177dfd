"""`schedsearch run`: launch a study, or go on with it."""

from pathlib import Path
from typing import Annotated

import typer

from schedsearch.cli.options import RUNS_DIR, Device, Json, Quiet, RunsDir, Storage
from schedsearch.training.engines import engine_names

_ENGINES = ", ".join(engine_names())


def run(
    study: Annotated[Path, typer.Argument(metavar="STUDY.toml", help="A study file.")],
    trials: Annotated[
        int | None, typer.Option(min=1, help="The run's total of finished trials.")
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option(help="search: the best schedule; rank: families, with equal trials for each."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="The run's name, and its folder's.")] = None,
    runs_dir: RunsDir = RUNS_DIR,
    storage: Storage = None,
    device: Device = "auto",
    threads: Annotated[
        int | None, typer.Option(min=0, help="Threads on the CPU; 0: measured.")
    ] = None,
    engine: Annotated[str | None, typer.Option(help=f"How to train: {_ENGINES}.")] = None,
    stack: Annotated[
        int | None, typer.Option(min=0, help="How many trainings at once; 0: measured.")
    ] = None,
    parallel: Annotated[
        int | None, typer.Option(min=1, help="Trainings at a time by a trainer of your own.")
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
    from schedsearch.cli.dashboard_process import DashboardProcess
    from schedsearch.cli.show.display import showing_events
    from schedsearch.cli.show.outcome import print_outcome, print_result
    from schedsearch.cli.show.plan import print_estimate, print_plan
    from schedsearch.config import load_config, parse_config
    from schedsearch.imports import find_beside
    from schedsearch.launch import run_study

    find_beside(study)
    data = load_config(study).model_dump()
    data |= _given(trials=trials, name=name, mode=mode)
    data["training"] |= _given(threads=threads, stack=stack, engine=engine, parallel=parallel)
    config = parse_config(data, str(study))
    if dry_run:
        show_plan = print_estimate if as_json else print_plan
        show_plan(config, runs_dir, storage, device)
        return
    kept = "finished trials are kept, the running ones are back in the queue"
    with (
        showing_events(quiet=quiet, json=as_json, kept=kept) as show,
        DashboardProcess(show, config.name, runs_dir, storage, dashboard) as process,
    ):
        outcome = run_study(
            config,
            runs_dir=runs_dir,
            storage=storage,
            device=device,
            report=report,
            on_event=process,
        )
    show_outcome = print_result if as_json else print_outcome
    show_outcome(outcome)
    process.stay()


def _given(**options: object) -> dict[str, object]:
    """Return the options that were given."""
    return {name: value for name, value in options.items() if value is not None}
