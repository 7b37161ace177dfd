"""Convergence: the best of each family, validation loss and accuracy against steps.

A family of which something was confirmed is shown by its best finalist on all fresh seeds: the
median, and the lowest and the highest of them. Of how surely the mean is known the figure of the
confirmation tells; here it is how far runs lie apart, and one that went astray is seen as one. Any
other family is shown by its best trial, one run on the search's seed.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from optuna.trial import FrozenTrial

from schedsearch.analysis.confirmation import Confirmed
from schedsearch.analysis.figures.chart import Axis, Chart, Panel, Series
from schedsearch.analysis.figures.scales import accuracy_axis, loss_axis
from schedsearch.analysis.snapshot import Snapshot
from schedsearch.analysis.wording import finalist_in_words, trial_in_words
from schedsearch.storage.finalists import by_pair
from schedsearch.storage.records import read_columns, read_result

_WORST = {"val_loss": np.inf, "val_accuracy": -np.inf}  # counts where a run had diverged
COLUMNS = (
    *("family", "trial", "seeds", "diverged", "step"),
    *(f"{name}{end}" for name in _WORST for end in ("", "_low", "_high")),
    "words",
)


def table(run: Snapshot) -> pd.DataFrame:
    """Return the evaluations of the best of each family: a row an evaluation, COLUMNS.

    `seeds` is how many runs a row stands on, `diverged` how many of them had by then: they count
    as the worst in the median, and are in no range. Of a single run there is no range.
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
    """Return the evaluations of a finalist over its seeds, as far as half of its runs came."""
    assert run.confirmed is not None
    found, text = by_pair(run.confirming), each.finalist.schedule.to_json()
    curves = [_sound(found[text, seed]) for seed in run.confirmed.basis.seeds]
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


def _sound(trial: FrozenTrial) -> pd.DataFrame:
    """Return a trial's evaluations by step, without that at which it diverged."""
    rows = pd.DataFrame(read_columns(trial), columns=["step", *_WORST]).set_index("step")
    return rows.iloc[:-1] if read_result(trial)["diverged"] else rows


def draw(evaluations: pd.DataFrame) -> Chart:
    """Draw two panels: a line a family, with a band where it stands on several runs."""
    of = {
        name: np.ravel(evaluations[[name, f"{name}_low", f"{name}_high"]].to_numpy(dtype=float))
        for name in _WORST
    }
    of = {name: values[np.isfinite(values)] for name, values in of.items()}
    accuracy, place = accuracy_axis(of["val_accuracy"].tolist())
    step, loss = Axis("optimizer step"), loss_axis(of["val_loss"].tolist())
    losses, accuracies = [], []
    for _, rows in evaluations.groupby("family", sort=False):
        losses += _series(rows, "val_loss", "{:.4g}", lambda value: value)
        accuracies += _series(rows, "val_accuracy", "{:.2%}", place)
    seeds = int(evaluations["seeds"].max())
    return Chart(
        "Convergence of the best run of each family",
        tuple(
            Panel(step, y, tuple(sorted(series, key=lambda s: s.kind)))  # bands behind lines
            for y, series in ((loss, losses), (accuracy, accuracies))
        ),
        f"Band: lowest to highest of {seeds} fresh seeds, its line the median; no band: one run"
        if seeds > 1
        else "",
    )


def _series(
    rows: pd.DataFrame, name: str, number: str, place: Callable[[float], float]
) -> list[Series]:
    """Make the line of a family, and its band if it has one."""
    family, say = str(rows["family"].iloc[0]), number.format
    steps, middle = tuple(rows["step"]), tuple(map(place, rows[name]))
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
        low, high = (tuple(map(place, rows[f"{name}_{end}"])) for end in ("low", "high"))
        made.append(Series(family, "band", steps, middle, "", family, low=low, high=high))
    return made
