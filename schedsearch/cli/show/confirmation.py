"""Print a confirmation."""

from typing import TYPE_CHECKING

import typer

from schedsearch.cli.show.tables import print_table, with_torch_class

if TYPE_CHECKING:
    from schedsearch.confirmation.claim import Confirmation

_SHOWN = (
    *("schedule", "torch_class", "roles", "mean", "low", "high", "difference", "p", "told apart"),
    "diverged",
)


def print_confirmation(confirmed: "Confirmation") -> None:
    """Print a confirmation as a table and a sentence."""
    import pandas as pd

    frame = with_torch_class(confirmed.frame())
    seeds = len(confirmed.basis.seeds)
    trainings = sum(len(each.results) for each in confirmed.finalists)
    apart = ["", *("yes" if each.apart else "no" for each in confirmed.finalists[1:])]
    frame["told apart"] = pd.Series(apart, dtype="string")  # from the winner
    typer.echo(
        f"\nConfirmed on {seeds} fresh seeds ({trainings} trainings; "
        f"mean {confirmed.objective.name}):"
    )
    tested = [name for name in map(str, frame) if name.startswith("test_")]
    tested = tested[1:] or tested  # metrics stand for the loss, so that the table is no wider
    print_table(frame[[name for name in (*_SHOWN, *tested) if name in frame]])
    typer.echo(confirmed.sentence())
    saved = confirmed.saved
    typer.echo(
        f"Common seeds saved {saved.value:.0%} of the differences' variance "
        f"({saved.low:.0%} to {saved.high:.0%})"
    )
