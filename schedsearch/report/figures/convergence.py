"""Convergence: the best of each family, validation loss and accuracy against steps.

A family with a confirmed schedule is shown by its best finalist on all fresh seeds: the median, and
the range from the lowest to the highest. The range shows how far trainings differ; how well the
mean is known is shown by the figure of the confirmation. Any other family is shown by its best
trial, one training on the search's seed.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Any

from schedsearch.imports import lazy
from schedsearch.report.figures.chart import Axis, Chart, Panel, Series
from schedsearch.report.figures.figure import Figure
from schedsearch.report.figures.scales import accuracy_axis, loss_axis
from schedsearch.report.wording import finalist_in_words, trial_in_words

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from schedsearch.confirmation.claim import Confirmed
    from schedsearch.report.snapshot import Snapshot, Training
else:
    pd = lazy("pandas")
    np = lazy("numpy")

_WORST = {"val_loss": inf, "val_accuracy": -inf}  # the value of a training that has diverged
COLUMNS = (
    *("family", "trial", "seeds", "diverged", "step"),
    *(f"{name}{end}" for name in _WORST for end in ("", "_low", "_high")),
    "words",
)


def table(run: Snapshot) -> pd.DataFrame:
    """Return one row per evaluation of the best of each family, with COLUMNS.

    `seeds` is the number of trainings behind a row, `diverged` how many of them had diverged by
    then. A diverged training counts as the worst value in the median, and is left out of the
    range. A single training has no range.
    """
    best, parts = run.best_finalists(), []
    for row in run.best_rows():
        if (finalist := best.pop(row.family, None)) is not None:
            parts.append(_over_seeds(run, finalist))
        else:
            curve = run.curve_of(row.study, row.trial)
            parts.append(curve.assign(seeds=1, diverged=0, words=trial_in_words(row)))
    parts += [_over_seeds(run, finalist) for finalist in best.values()]
    parts = [part.reindex(columns=list(COLUMNS)) for part in parts if len(part)]
    if not parts:
        return pd.DataFrame([], columns=list(COLUMNS))
    return pd.concat(parts, ignore_index=True)


def _over_seeds(run: Snapshot, each: Confirmed) -> pd.DataFrame:
    """Return the evaluations of a finalist over its seeds, until half of its trainings diverged."""
    curves = [_sound(training) for training in run.trainings_of(each)]
    steps = max((curve.index for curve in curves), key=len)
    made: dict[str, Any] = {}
    for name, worst in _WORST.items():
        values = np.array([curve[name].reindex(steps).fillna(worst) for curve in curves])
        known = np.ma.masked_invalid(values)
        made |= {name: np.median(values, axis=0), f"{name}_low": known.min(axis=0).filled(np.nan)}
        made |= {f"{name}_high": known.max(axis=0).filled(np.nan)}
    made |= {"diverged": [sum(step not in curve.index for curve in curves) for step in steps]}
    frame = pd.DataFrame({"step": steps, **made}).assign(
        family=each.finalist.schedule.family,
        trial=np.nan if each.finalist.trial is None else each.finalist.trial,
        seeds=len(curves),
        words=finalist_in_words(each.finalist),
    )
    kept: pd.DataFrame = frame[np.isfinite(frame["val_loss"])]
    return kept


def _sound(training: Training) -> pd.DataFrame:
    """Return a training's evaluations by step, without the one at which it diverged."""
    rows = training.curve[["step", *_WORST]].set_index("step")
    return rows.iloc[:-1] if training.diverged else rows


def draw(evaluations: pd.DataFrame) -> Chart:
    """Draw two panels: one line per family, with a band if it stands for several trainings."""
    of = {
        name: np.ravel(evaluations[[name, f"{name}_low", f"{name}_high"]].to_numpy(dtype=float))
        for name in _WORST
    }
    of = {name: values[np.isfinite(values)] for name, values in of.items()}
    accuracy, scaled = accuracy_axis(of["val_accuracy"].tolist())
    step, loss = Axis("optimizer step"), loss_axis(of["val_loss"].tolist())
    losses, accuracies = [], []
    for _, rows in evaluations.groupby("family", sort=False):
        losses += _series(rows, "val_loss", "{:.4g}", lambda value: value)
        accuracies += _series(rows, "val_accuracy", "{:.2%}", scaled)
    seeds = int(evaluations["seeds"].max())
    return Chart(
        "Convergence of the best of each family",
        tuple(
            Panel(step, y, tuple(sorted(series, key=lambda s: s.kind)))  # bands behind lines
            for y, series in ((loss, losses), (accuracy, accuracies))
        ),
        f"Band: lowest to highest of {seeds} fresh seeds, its line the median; "
        "no band: one training"
        if seeds > 1
        else "",
    )


def _series(
    rows: pd.DataFrame, name: str, number: str, scaled: Callable[[float], float]
) -> list[Series]:
    """Return the line of a family, and its band if it has one."""
    family, say = str(rows["family"].iloc[0]), number.format
    steps, middle = tuple(rows["step"]), tuple(map(scaled, rows[name]))
    texts, many = [], int(rows["seeds"].iloc[0]) > 1
    for row in rows.to_dict("records"):
        text = f"step {row['step']}: {say(row[name])}"
        if many:
            ends = f"{say(row[f'{name}_low'])} to {say(row[f'{name}_high'])}"
            text += f" ({ends})\nmedian and range of {row['seeds']} fresh seeds"
        if row["diverged"]:
            text += f", {row['diverged']} diverged"
        texts.append(f"{text}\n{row['words']}")
    made = [Series(family, "line", steps, middle, tuple(texts), family)]
    if many:
        low, high = (tuple(map(scaled, rows[f"{name}_{end}"])) for end in ("low", "high"))
        made.append(Series(family, "band", steps, middle, "", family, low=low, high=high))
    return made


FIGURE = Figure(
    "convergence",
    (
        "The best of each family, on the data that no step was taken with. Where accuracies come "
        "close to 100%, the scale shows the errors that are left."
    ),
    table,
    draw,
    in_dashboard=True,
)
