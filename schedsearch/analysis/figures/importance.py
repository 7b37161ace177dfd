"""Importance: how much of the differences between trials each parameter explains (fANOVA).

Over all families only what all trials share is compared; a family's own parameters are compared
among its own trials, where there are enough. As in Hutter et al. 2014 the shares are main effects
in a random forest: the variance of its mean over all else. Optuna's own evaluator goes through
every combination of the families' dummy columns, which is 2^19 for all of them.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.search_space import intersection_search_space
from optuna.trial import FrozenTrial
from sklearn.ensemble import RandomForestRegressor

from schedsearch.analysis.figures.chart import Axis, Chart, Panel, Series
from schedsearch.analysis.figures.trials import wrapped
from schedsearch.analysis.snapshot import Snapshot

COLUMNS = ("among", "param", "importance", "trials")
FEWEST_TRIALS = 20
MOST_FAMILIES = 6
ALL = "all families"
_TREES, _PLACES, _BACKGROUND = 32, 16, 256


def table(run: Snapshot) -> pd.DataFrame:
    """Return a row for each parameter that trials share, COLUMNS; `among`: ALL, or a family."""
    finished = run.trials[run.trials["state"] == "finished"]
    values = finished[run.objective]
    if run.objective == "val_loss":  # differences between the good count as much as between the bad
        values = values.clip(lower=1e-12).map(math.log)
    groups = {ALL: finished} if finished["family"].nunique() > 1 else {}
    groups |= {name: finished[finished["family"] == name] for name in run.families()}
    rows: list[tuple[str, str, float, int]] = []
    for among, group in groups.items():
        shown = {row[0] for row in rows}
        if len(group) < FEWEST_TRIALS or len(shown - {ALL}) == MOST_FAMILIES:
            continue
        keys = zip(group["study"], group["trial"], strict=True)
        trials = [run.stored[key] for key in keys]
        shares = main_effects(trials, list(values[group.index]), "" if among == ALL else "family")
        if len(shares) > 1:  # of one parameter it would be all
            found = sorted(shares.items(), key=lambda item: -item[1])
            rows += [(among, k.removeprefix(f"{among}."), v, len(group)) for k, v in found]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def main_effects(
    trials: Sequence[FrozenTrial], values: Sequence[float], fixed: str = ""
) -> dict[str, float]:
    """Return the share of the variance that each shared parameter, but one, explains by itself."""
    shared = intersection_search_space(list(trials))
    space = {name: d for name, d in shared.items() if not d.single() and name != fixed}
    if not space or len(set(values)) == 1:
        return {}
    blocks = {n: _encoded(d, [t.params[n] for t in trials]) for n, d in space.items()}
    forest = RandomForestRegressor(_TREES, min_samples_leaf=2, random_state=0, n_jobs=1)
    forest.fit(np.hstack(list(blocks.values())), values)
    rng = np.random.default_rng(0)
    drawn = {n: _encoded(d, _spread(d, rng.random(_BACKGROUND))) for n, d in space.items()}
    total = float(forest.predict(np.hstack(list(drawn.values()))).var())
    effects = {}
    for name, distribution in space.items():
        places = np.unique(_encoded(distribution, _places(distribution)), axis=0)
        every = {n: np.tile(block, (len(places), 1)) for n, block in drawn.items()}
        every[name] = np.repeat(places, _BACKGROUND, axis=0)
        means = forest.predict(np.hstack(list(every.values()))).reshape(len(places), -1).mean(1)
        effects[name] = float(means.var()) / total if total else 0.0
    return effects


def _encoded(distribution: BaseDistribution, values: Sequence[Any]) -> Any:
    """Return values as columns of numbers: one for each choice, or one, on the searched scale."""
    if isinstance(distribution, CategoricalDistribution):
        return np.array([[float(v == c) for c in distribution.choices] for v in values])
    log = isinstance(distribution, FloatDistribution | IntDistribution) and distribution.log
    return np.array([[math.log(v) if log else float(v)] for v in values])


def _places(distribution: BaseDistribution) -> Sequence[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    return _spread(distribution, (np.arange(_PLACES) + 0.5) / _PLACES)


def _spread(distribution: BaseDistribution, parts: Any) -> list[Any]:
    """Return the values at parts (from 0 to 1) of what is searched."""
    if isinstance(distribution, CategoricalDistribution):
        n = len(distribution.choices)
        return [distribution.choices[min(n - 1, int(p * n))] for p in parts]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = float(distribution.low), float(distribution.high)
    if distribution.log:
        return [low * (high / low) ** float(p) for p in parts]
    return [low + float(p) * (high - low) for p in parts]


def draw(importances: pd.DataFrame) -> Chart:
    """Draw a panel of bars for all families together, and for each that has enough trials."""
    panels = []
    for among, rows in importances.groupby("among", sort=False):
        family = None if among == ALL else str(among)
        trials = int(rows["trials"].iloc[0])
        words = tuple(
            f"{r.param}: {r.importance:.0%}\nof {trials} trials" for r in rows.itertuples()
        )
        places = tuple(float(i) for i in range(len(rows)))
        ticks = tuple(zip(places, map(wrapped, rows["param"]), strict=True))
        series = Series(str(among), "bars", tuple(rows["importance"]), places, words, family)
        y = Axis("", ticks=ticks, reverse=True, span=(-0.6, len(rows) - 0.4))
        x = Axis(f"share explained, {trials} trials\n{among}", percent=True, span=(0.0, 1.0))
        panels.append(Panel(x, y, (series,), (), len(rows)))
    return Chart("Which parameters matter", tuple(panels))
