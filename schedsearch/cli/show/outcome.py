"""Print how a command that trains ended: in words, or as the last line of JSON."""

import json
from typing import TYPE_CHECKING

import typer

from schedsearch.cli.show.confirmation import print_confirmation
from schedsearch.cli.show.fidelity import print_fidelity
from schedsearch.cli.show.leaderboard import print_leaderboard

if TYPE_CHECKING:
    from schedsearch.finish import Winner
    from schedsearch.launch import Outcome
    from schedsearch.search.timing import Clock
    from schedsearch.store.run import Run

_OTHERS_TRAIN = "Other processes still train; the one that ends last writes best.json"


def print_outcome(outcome: "Outcome") -> None:
    """Print what a study found, where its time went, and where its files are."""
    from schedsearch.confirmation.read import confirmation_of

    run = outcome.run
    ranks = run.config.mode == "rank"
    title = "Families ranked by the best trial of each" if ranks else "Best trial of each family"
    typer.echo(f"\n{title} ({run.name}):")
    print_leaderboard(run)
    print_fidelity(run)
    if outcome.winner is None:
        typer.echo(f"\n{_OTHERS_TRAIN}")
        return
    confirmed = confirmation_of(run)
    if confirmed is not None:
        print_confirmation(confirmed)
    _print_winner(outcome.winner, run, is_confirmed=confirmed is not None)
    _print_time(outcome.clock)
    _print_files(outcome)
    typer.echo("Reuse it in your own training:")
    typer.echo(
        f"    scheduler = schedsearch.load_schedule({str(outcome.best_path)!r})"
        f".build(optimizer, {_length(run)})"
    )


def _length(run: "Run") -> str:
    """Return how a user who counts as the study does says how long the training is."""
    epochs = run.config.training.unit.steps_per_epoch is not None
    return "epochs=..., steps_per_epoch=..." if epochs else "total_steps=..."


def print_confirmed(outcome: "Outcome") -> None:
    """Print a confirmation, and where its files are."""
    from schedsearch.confirmation.read import last_confirmation

    confirmed = last_confirmation(outcome.run)
    if outcome.winner is None or confirmed is None:
        typer.echo(_OTHERS_TRAIN)
        return
    print_confirmation(confirmed)
    _print_files(outcome)


def _print_winner(winner: "Winner", run: "Run", *, is_confirmed: bool) -> None:
    from schedsearch.report.wording import measured_in_words, short_params

    schedule = winner.schedule
    params = short_params(json.dumps(schedule.to_dict()["params"]))
    warm = f" warm-up={schedule.warmup.frac:.3g}" if schedule.warmup else ""
    metric = f" metric={schedule.metric}" if schedule.metric else ""
    typer.echo(
        f"\n{'Winner' if is_confirmed else 'Best, not confirmed on fresh seeds'}: "
        f"{schedule.family} with peak_lr={schedule.peak_lr:.4g}{warm}{metric} {params}".rstrip()
    )
    if winner.score is not None and winner.score.test:
        measured = {f"val_{name}": value for name, value in winner.score.test.items()}
        told = measured_in_words(measured, (o for o in run.objectives if o.name in measured))
        typer.echo(f"On the test split, trained once more on a fresh seed: {told}")


def _print_time(clock: "Clock") -> None:
    if not clock.trials:
        return
    trials = clock.trials
    typer.echo(
        f"Training took {clock.training / trials:.2f} s a trial; the harness added "
        f"{(clock.sampling + clock.storing) / trials * 1000:.0f} ms a trial "
        f"({clock.sampling / trials * 1000:.0f} sampling, "
        f"{clock.storing / trials * 1000:.0f} storing)"
    )


def _print_files(outcome: "Outcome") -> None:
    if outcome.report_path is not None:
        typer.echo(f"To look at: {outcome.report_path}")
    typer.echo(f"Written to {outcome.best_path}")


def print_result(outcome: "Outcome") -> None:
    """Print how a command ended as the last line of JSON."""
    from schedsearch.cli.show.json_lines import Result, line_of
    from schedsearch.confirmation.read import confirmation_of

    winner, clock = outcome.winner, outcome.clock
    score = None if winner is None else winner.score
    result = Result(
        run=outcome.run.name,
        concluded=winner is not None,
        confirmed=winner is not None and confirmation_of(outcome.run) is not None,
        schedule=None if winner is None else winner.schedule.to_dict(),
        trial=None if winner is None else winner.trial,
        test=dict(score.test) if score is not None and score.test else None,
        best_path=str(outcome.best_path) if winner else None,
        report_path=None if outcome.report_path is None else str(outcome.report_path),
        trials=clock.trials,
        training_seconds=clock.training,
        sampling_seconds=clock.sampling,
        storing_seconds=clock.storing,
    )
    typer.echo(line_of(result))
