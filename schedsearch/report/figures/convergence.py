"""Convergence: the best of each family, what an evaluation measures against steps.

A family with a confirmed schedule is shown by its best finalist on all fresh seeds: the median, and
the range from the lowest to the highest. The range shows how far trainings differ; how well the
mean is known is shown by the figure of the confirmation. Any other family is shown by its best
trial, one training on the search's seed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from schedsearch.imports import lazy
from schedsearch.objective import Objective
from schedsearch.report.figures.chart import Axis, Chart, Panel, Series
from schedsearch.report.figures.compared import OBJECTIVE_COLUMNS, objective_of, with_objective
from schedsearch.report.figures.figure import Figure
from schedsearch.report.figures.scales import curve_axis
from schedsearch.report.wording import finalist_in_words, trial_in_words

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from schedsearch.confirmation.claim import Confirmed
    from schedsearch.report.snapshot import Snapshot, Training
else:
    pd = lazy("pandas")
    np = lazy("numpy")

COLUMNS = (
    *("family", "trial", "seeds", "diverged", "step", *OBJECTIVE_COLUMNS),
    *("value", "low", "high", "words"),
)
_MOST_METRICS = 3


def shown(run: Snapshot) -> list[Objective]:
    """Return what is drawn: the loss, the first metrics, and of averaged weights what ranks.

    What ranks trials is always among them.
    """
    plain = [each for each in run.objectives if not each.averaged]
    metrics = sorted(plain[1:], key=lambda each: each != run.objective)[:_MOST_METRICS]
    averaged = [each for each in run.objectives if each.averaged]
    kept = [each for each in averaged[:1] + averaged[1:] if each in (averaged[0], run.objective)]
    return [each for each in plain if each in (plain[0], *metrics)] + kept


def table(run: Snapshot) -> pd.DataFrame:
    """Return one row per evaluation of the best of each family and value, with COLUMNS.

    `seeds` is the number of trainings behind a row, `diverged` how many of them had diverged by
    then. A diverged training counts as the worst value in the median, and is left out of the
    range, `low` to `high`. A single training has no range.
    """
    best, parts = run.best_finalists(), []
    for row in run.best_rows():
        if (finalist := best.pop(row.family, None)) is not None:
            parts.append(_over_seeds(run, finalist))
        else:
            curve = run.curve_of(row.study, row.trial)
            head = curve[["family", "trial", "step"]].assign(seeds=1, diverged=0)
            head = head.assign(words=trial_in_words(row, run.told))
            parts.append({o: head.assign(value=curve[o.name]) for o in shown(run)})
    parts += [_over_seeds(run, finalist) for finalist in best.values()]
    frames = [
        with_objective(part[objective], objective).reindex(columns=list(COLUMNS))
        for objective in shown(run)
        for part in parts
        if len(part[objective])
    ]
    if not frames:
        return pd.DataFrame([], columns=list(COLUMNS))
    return pd.concat(frames, ignore_index=True)


def _over_seeds(run: Snapshot, each: Confirmed) -> dict[Objective, pd.DataFrame]:
    """Return the evaluations of a finalist over its seeds, until half of its trainings diverged."""
    curves = [_sound(training) for training in run.trainings_of(each)]
    steps = max((curve.index for curve in curves), key=len)
    number = each.finalist.trial
    head = pd.DataFrame({"step": steps}).assign(
        diverged=[sum(step not in curve.index for curve in curves) for step in steps],
        family=each.finalist.schedule.family,
        trial=np.nan if number is None else number,
        seeds=len(curves),
        words=finalist_in_words(each.finalist),
    )
    made: dict[Objective, pd.DataFrame] = {}
    kept: Any = None
    for objective in shown(run):
        rows = [curve[objective.name].reindex(steps).fillna(objective.worst) for curve in curves]
        values = np.array(rows)
        known = np.ma.masked_invalid(values)
        ends = {"low": known.min(axis=0), "high": known.max(axis=0)}
        filled = {name: end.filled(np.nan) for name, end in ends.items()}
        middle = np.median(values, axis=0)
        kept = np.isfinite(middle) if kept is None else kept  # the loss, which comes first
        made[objective] = head.assign(value=middle, **filled)[kept]
    return made


def _sound(training: Training) -> pd.DataFrame:
    """Return a training's evaluations by step, without the one at which it diverged."""
    rows = training.curve.set_index("step")
    return rows.iloc[:-1] if training.diverged else rows


def draw(evaluations: pd.DataFrame) -> Chart:
    """Draw a panel per value: one line per family, with a band if it stands for several seeds."""
    panels, shares = [], False
    for _, rows in evaluations.groupby("name", sort=False):
        objective = objective_of(rows)
        values = np.ravel(rows[["value", "low", "high"]].to_numpy(dtype=float))
        axis, scaled = curve_axis(objective, values[np.isfinite(values)], objective.words)
        shares = shares or axis.reverse
        series = [
            drawn
            for _, of_family in rows.groupby("family", sort=False)
            for drawn in _series(of_family, objective, scaled)
        ]
        series.sort(key=lambda drawn: drawn.kind)  # bands behind lines
        panels.append(Panel(Axis("optimizer step"), axis, tuple(series)))
    seeds, notes = int(evaluations["seeds"].max()), []
    if shares:
        notes.append("Close to 100%, the scale shows the errors that are left")
    if seeds > 1:
        notes.append(
            f"Band: lowest to highest of {seeds} fresh seeds, its line the median; "
            "no band: one training"
        )
    return Chart("Convergence of the best of each family", tuple(panels), ". ".join(notes))


def _series(
    rows: pd.DataFrame, objective: Objective, scaled: Callable[[float], float]
) -> list[Series]:
    """Return the line of a family, and its band if it has one."""
    family, say = str(rows["family"].iloc[0]), objective.text
    steps, middle = tuple(rows["step"]), tuple(map(scaled, rows["value"]))
    texts, many = [], int(rows["seeds"].iloc[0]) > 1
    for row in rows.to_dict("records"):
        text = f"step {row['step']}: {say(row['value'])}"
        if many:
            ends = f"{say(row['low'])} to {say(row['high'])}"
            text += f" ({ends})\nmedian and range of {row['seeds']} fresh seeds"
        if row["diverged"]:
            text += f", {row['diverged']} diverged"
        texts.append(f"{text}\n{row['words']}")
    made = [Series(family, "line", steps, middle, tuple(texts), family)]
    if many:
        low, high = (tuple(map(scaled, rows[end])) for end in ("low", "high"))
        made.append(Series(family, "band", steps, middle, "", family, low=low, high=high))
    return made


FIGURE = Figure(
    "convergence",
    "The best of each family, on the data that no step was taken with.",
    table,
    draw,
    in_dashboard=True,
)
