"""Main effects: the fraction of the variance that each parameter explains by itself (fANOVA).

As in Hutter et al. 2014, a random forest is fitted to the trials, and the effect of a parameter is
the variance of the forest's mean prediction over all other parameters. Optuna's own evaluator
enumerates every combination of the families' dummy columns, which is 2^19 for all families.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.search_space import intersection_search_space
from optuna.trial import FrozenTrial
from sklearn.ensemble import RandomForestRegressor

_TREES, _POINTS, _BACKGROUND = 32, 16, 256


def main_effects(
    trials: Sequence[FrozenTrial], values: Sequence[float], fixed: str = ""
) -> dict[str, float]:
    """Return the fraction of the variance that each shared parameter explains by itself.

    Args:
        trials: the trials.
        values: the value of each, which is explained.
        fixed: a parameter that is left out.
    """
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
        points = np.unique(_encoded(distribution, _points(distribution)), axis=0)
        every = {n: np.tile(block, (len(points), 1)) for n, block in drawn.items()}
        every[name] = np.repeat(points, _BACKGROUND, axis=0)
        means = forest.predict(np.hstack(list(every.values()))).reshape(len(points), -1).mean(1)
        effects[name] = float(means.var()) / total if total else 0.0
    return effects


def _encoded(distribution: BaseDistribution, values: Sequence[Any]) -> Any:
    """Return values as columns of numbers: one for each choice, or one, on the searched scale."""
    if isinstance(distribution, CategoricalDistribution):
        return np.array([[float(v == c) for c in distribution.choices] for v in values])
    log = isinstance(distribution, FloatDistribution | IntDistribution) and distribution.log
    return np.array([[math.log(v) if log else float(v)] for v in values])


def _points(distribution: BaseDistribution) -> Sequence[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    return _spread(distribution, (np.arange(_POINTS) + 0.5) / _POINTS)


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
