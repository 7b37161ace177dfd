"""Print what a search with rungs took, and how well its rungs ranked schedules."""

from typing import TYPE_CHECKING

import typer

from schedsearch.cli.options import print_table

if TYPE_CHECKING:
    from schedsearch.analysis import Run
    from schedsearch.search.plan import Plan


def describe_rungs(plan: "Plan") -> str:
    """Say at which horizons a plan tries its trials."""
    from schedsearch.search.fidelity_check import checks_wanted

    rungs, checks = plan.rungs, checks_wanted(plan)
    if rungs.kind == "full":
        return "; ".join(("full: every trial is trained at the full horizon", *plan.notes))
    steps = ", ".join(map(str, rungs.horizons))
    if rungs.kind == "auto":
        pilot = f"a pilot of {checks} random schedules, at {steps} steps, chooses squeeze, truncate"
        return "; ".join((f"auto: {pilot} or full", *plan.notes))
    parts = [f"{rungs.kind}: rungs at {steps} steps, one in {rungs.eta} goes on"]
    parts += [f"{checks} random schedules check them"] * bool(checks)
    return "; ".join((*parts, *plan.notes))


def print_edge(run: "Run") -> None:
    """Print which families did best at an edge of the searched base rates, if any did."""
    advice = run.edge_advice()
    if advice is not None:
        typer.echo(advice)


def print_fidelity(run: "Run") -> None:
    """Print the steps of a search with rungs, and the table of what its rungs say."""
    from schedsearch.analysis.compute import compute_of

    horizons = run.horizons()
    if len(horizons) == 1:
        return
    checks, took = run.checks(), compute_of(run.trials(), horizons[-1]).sentence
    if len(checks):
        typer.echo("\nWhat a rung says of the full horizon (Spearman's rank correlation, 95 %):")
        print_table(run.fidelity())
        for text in (each.warning for each in run.agreements()):
            if text is not None:
                typer.echo(f"Beware: {text}")
    else:
        typer.echo("\nThe rungs were not checked ([fidelity] checks = 8 would)")
    typer.echo(f"The search took {took}")
    if len(checks):
        typer.echo(
            f"The {len(checks)} random schedules that check the rungs took "
            f"{int(checks['spent_steps'].sum()):,} steps more"
        )
