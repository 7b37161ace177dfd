"""Print what a search with rungs cost, and how well its rungs ranked schedules."""

from typing import TYPE_CHECKING

import typer

from schedsearch.cli.show.tables import print_table

if TYPE_CHECKING:
    import pandas as pd

    from schedsearch.horizon import Unit
    from schedsearch.store.run import Run


def _in_unit(frame: "pd.DataFrame", unit: "Unit") -> "pd.DataFrame":
    epochs = unit.steps_per_epoch is not None
    return frame.assign(horizon=frame["horizon"].map(unit.say)) if epochs else frame


def print_fidelity(run: "Run") -> None:
    """Print the steps of a search with rungs, and how well each rung ranked schedules."""
    from schedsearch.fidelity.read import agreements_of, fidelity_of
    from schedsearch.report.compute import compute_of

    horizons = run.horizons()
    if len(horizons) == 1:
        return
    checks, cost = run.checks(), compute_of(run.trials(), horizons[-1]).sentence
    if len(checks):
        typer.echo("\nWhat a rung says of the full horizon (Spearman's rank correlation, 95 %):")
        print_table(_in_unit(fidelity_of(run), run.config.training.unit))
        for text in (each.warning for each in agreements_of(run)):
            if text is not None:
                typer.echo(f"Beware: {text}")
    else:
        typer.echo("\nThe rungs were not checked ([fidelity] checks = 8 would)")
    typer.echo(f"The search took {cost}")
    if len(checks):
        typer.echo(
            f"The {len(checks)} random schedules that check the rungs took "
            f"{int(checks['spent_steps'].sum()):,} steps more"
        )
