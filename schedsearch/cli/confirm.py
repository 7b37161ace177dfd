"""`schedsearch confirm`: train the best schedules of a run on fresh seeds, or on more of them."""

from typing import TYPE_CHECKING, Annotated

import typer

from schedsearch.cli.options import RUNS_DIR, RunArgument, RunsDir, Storage, opened, print_table
from schedsearch.cli.telling import Json, Quiet, print_result, telling

if TYPE_CHECKING:
    from schedsearch.analysis import Confirmation


def confirm(
    run: RunArgument,
    seeds: Annotated[
        int | None, typer.Option(min=2, max=1000, help="Fresh seeds, those of before included.")
    ] = None,
    finalists: Annotated[
        int | None, typer.Option(min=1, max=50, help="The best so many of the search.")
    ] = None,
    runs_dir: RunsDir = RUNS_DIR,
    storage: Storage = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")] = "auto",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Confirm the best schedules of a run on fresh seeds, and write best.json.

    What was confirmed before is kept: more seeds, or more finalists, are added to it.

    Example:  schedsearch confirm runs/digits --seeds 16
    """
    from schedsearch.launch import confirm_run

    it = opened(run, runs_dir, storage)
    with telling(quiet=quiet, json=as_json, kept="what is done is kept") as on_event:
        outcome = confirm_run(
            it,
            runs_dir=runs_dir,
            seeds=seeds,
            finalists=finalists,
            device=device,
            on_event=on_event,
        )
    if as_json:
        print_result(outcome)
        return
    confirmed = outcome.run.confirmed
    if not outcome.test or confirmed is None:
        typer.echo("Other processes still train; the one that ends last writes best.json")
        return
    print_confirmation(confirmed)
    if outcome.report_path is not None:
        typer.echo(f"To look at: {outcome.report_path}")
    typer.echo(f"Written to {outcome.best_path}")


def print_confirmation(confirmed: "Confirmation") -> None:
    """Print a confirmation as a table and a sentence."""
    import pandas as pd

    frame = confirmed.frame()
    seeds, runs = len(confirmed.basis.seeds), sum(len(f.results) for f in confirmed.finalists)
    shown = ["schedule", "roles", "mean", "low", "high", "difference", "p", "told apart"]
    apart = ["", *("yes" if each.apart else "no" for each in confirmed.finalists[1:])]
    frame["told apart"] = pd.Series(apart, dtype="string")  # from the winner
    typer.echo(f"\nConfirmed on {seeds} fresh seeds ({runs} runs; mean {confirmed.objective}):")
    print_table(frame[[*shown, "diverged", "test_accuracy"]])
    typer.echo(confirmed.sentence())
    saved = confirmed.saved
    typer.echo(
        f"Common seeds saved {saved.value:.0%} of the differences' variance "
        f"({saved.low:.0%} to {saved.high:.0%})"
    )
