"""`schedsearch convergence`: how fast schedules converge, side by side."""

from math import isinf, isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schedsearch.cli.options import RUNS_DIR, RunsDir, Storage, opened
from schedsearch.cli.show.tables import print_table, with_torch_class
from schedsearch.horizon import STEPS, Unit

if TYPE_CHECKING:
    import pandas as pd

    from schedsearch.store.run import Run


def convergence(
    run: Annotated[
        list[str], typer.Argument(metavar="RUN [RUN ...]", help="Runs' folders, or their names.")
    ],
    profile: Annotated[
        bool,
        typer.Option("--profile", help="The performance profile only; runs may differ in task."),
    ] = False,
    runs_dir: RunsDir = RUNS_DIR,
    storage: Storage = None,
) -> None:
    """Compare steps to the target, losses on the way, and the best so far against compute.

    Several runs of one task and horizon stand side by side, with a performance profile.

    Example:  schedsearch convergence runs/digits
    """
    from schedsearch.report.convergence import convergence_of
    from schedsearch.report.performance_profile import profile_of
    from schedsearch.report.wording import target_in_words

    runs = [opened(each, Path(runs_dir), storage) for each in run]
    one = len(runs) == 1
    if not profile:
        found = convergence_of(runs)
        for text in found.stands_on:
            typer.echo(text)
        if runs[0].target is not None:
            reached, unit = target_in_words(runs[0].target), _unit(runs)
            typer.echo(f"\n{unit.name.capitalize()}s to {reached} (median, misses included):")
            print_table(_shown(_targets(with_torch_class(found.targets), unit), one))
        typer.echo(
            "\nMean validation loss over the training (area), and at fractions of the horizon:"
        )
        print_table(_shown(_losses(found.losses), one))
        typer.echo("\nBest so far against the search's compute (one search: no interval):")
        print_table(_shown(found.best, one))
    if profile or (not one and all(run.target is not None for run in runs)):
        table = profile_of(runs)
        typer.echo(f"\nFraction of {len(runs)} runs whose target is reached within a ratio of the")
        typer.echo("fastest family's steps (performance profile):")
        print_table(table)


def _shown(frame: "pd.DataFrame", one: bool) -> "pd.DataFrame":
    return frame.drop(columns="run") if one else frame


def _unit(runs: "list[Run]") -> Unit:
    """Return the unit of runs; of runs that count differently it is steps."""
    units = {run.config.training.unit for run in runs}
    return units.pop() if len(units) == 1 else STEPS


def _targets(frame: "pd.DataFrame", unit: Unit) -> "pd.DataFrame":
    columns = ["run", "schedule", "torch_class", "trainings", "reached", "missed", "diverged"]
    shown = frame[[name for name in columns if name in frame]].copy()
    counts = _ends(frame, "steps")
    shown[f"{unit.name}s"] = [_within(*map(unit.of, row)) for row in counts]
    return shown


def _losses(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return one row per schedule, with one column per measure."""
    cells = frame.assign(cell=[_within(*row) for row in _ends(frame, "value")])
    keys = ["run", "schedule", "trainings", "diverged"]
    wide = cells.pivot(index=keys, columns="measure", values="cell").reset_index()
    order = frame.drop_duplicates(["run", "schedule"])[["run", "schedule"]]
    return order.merge(wide)[[*keys, *dict.fromkeys(frame["measure"])]]


def _ends(frame: "pd.DataFrame", value: str) -> Any:
    return zip(frame[value], frame["low"], frame["high"], strict=True)


def _within(value: float, low: float, high: float) -> str:
    """Return a value with its interval as text.

    >>> _within(120.0, 90.0, float("inf")), _within(0.25, float("nan"), float("nan"))
    ('120 (90 to never)', '0.25')
    """
    if isnan(low) or value == low == high:
        return _number(value)
    return f"{_number(value)} ({_number(low)} to {_number(high)})"


def _number(value: float) -> str:
    if isnan(value):
        return ""
    return "never" if isinf(value) else f"{value:.4g}"
