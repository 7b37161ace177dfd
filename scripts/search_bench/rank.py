"""Do studies rank families rightly? Rank mode beside one joint search, at the same steps.

The truth of a family is the best truth among its schedules in the table's pool and all that any
study here found of it, each on the same fresh seeds. Seeds decide some of that order: families
whose truths are closer than two standard errors can't be told apart.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from schedsearch import open_run, run_study
from schedsearch.confirmation.read import confirmation_frame, confirming_trials
from schedsearch.files import write_atomically
from schedsearch.report.leaderboard import leaderboard_of
from schedsearch.seeds import derive_seed
from search_bench.live import FAMILIES, Arm, config_of, truths
from search_bench.replay import CONFIRM_SEEDS
from search_bench.table import FOLDER, FRESH_SEEDS, Table, say

TRIALS_OF_A_FAMILY = 25  # trained in full; with rungs, as many steps


@dataclass(frozen=True)
class Ranking:
    """What a study said of the families.

    Args:
        steps: optimizer steps of all that it trained, confirmation included.
        values: family -> the value it is ranked by; what has none is last.
        schedules: family -> its best schedule.
    """

    steps: int
    values: dict[str, float]
    schedules: dict[str, str]


@dataclass(frozen=True)
class Score:
    """How a ranking compares with the truth: Kendall's tau, and whether its first is the best."""

    steps: int
    tau: float
    best_named: bool


def arms() -> tuple[Arm, ...]:
    """Return what is compared; all may take as many optimizer steps."""
    count = len(FAMILIES)
    full, none = {"kind": "full"}, {"seeds": 0}
    rungs = {"kind": "squeeze", "checks": 0}
    total = TRIALS_OF_A_FAMILY * count
    sure = {"seeds": 8, "finalists": 4}
    return (
        Arm("one joint search", {"trials": total, "fidelity": full, "confirmation": none}),
        Arm(
            "rank mode, trials in full",
            {"mode": "rank", "trials": total, "fidelity": full, "confirmation": none},
        ),
        Arm(
            "rank mode, rungs and confirmation",
            {"mode": "rank", "trials": total, "fidelity": rungs, "confirmation": sure},
        ),
    )


def rank(table: Table, arm: Arm, seed: int) -> Ranking:
    """Run a study, or read what it gave before."""
    name = f"{derive_seed(0, arm.name, json.dumps(arm.study)):08x}-{seed}.json"
    file = FOLDER / f"{table.setup.name}-rank" / name
    if not file.exists():
        say(f"{table.setup.name}: {arm.name}, study seed {seed}")
        config = config_of(table.setup, arm, seed)
        with TemporaryDirectory() as folder:
            run_study(config, runs_dir=folder, device="cpu", report=False)
            found = _ranking(Path(folder) / config.name, table.setup.total_steps)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(vars(found)).encode())
    return Ranking(**json.loads(file.read_text()))


def _ranking(folder: Path, horizon: int) -> Ranking:
    run = open_run(folder)
    board, trials = leaderboard_of(run), run.trials()
    finished = trials[trials["state"] == "finished"].sort_values("val_loss")
    best = finished.drop_duplicates("family").set_index("family")
    values = dict(zip(board["family"], board["val_loss"].fillna(np.inf), strict=True))
    steps = int(trials["spent_steps"].sum())
    schedules = {str(family): str(text) for family, text in best["schedule"].items()}
    confirmed = confirmation_frame(run)
    if len(confirmed):
        steps += len(confirming_trials(run)) * horizon
        tops = confirmed[confirmed["roles"].str.contains("finalist")].set_index("family")
        values |= tops["mean"].fillna(np.inf).to_dict()
        schedules |= {str(family): str(text) for family, text in tops["json"].items()}
    run.storage.engine.dispose()
    return Ranking(steps, {k: float(v) for k, v in values.items()}, schedules)


def scores(table: Table, seeds: int) -> dict[str, list[Score]]:
    """Run what is missing, and compare every ranking with the truth."""
    found = {arm.name: [rank(table, arm, seed) for seed in range(seeds)] for arm in arms()}
    every = [ranking for rankings in found.values() for ranking in rankings]
    truth = family_truths(table, every)
    error = table.noise / np.sqrt(FRESH_SEEDS - CONFIRM_SEEDS)
    return {name: [score(r, truth, error) for r in rankings] for name, rankings in found.items()}


def family_truths(table: Table, rankings: Sequence[Ranking]) -> dict[str, float]:
    """Return the best truth of each family, of all its schedules that were ever found."""
    texts = [text for ranking in rankings for text in ranking.schedules.values()]
    known = truths(table.setup, texts)
    by_family: dict[str, float] = {}
    pool = table.truth(CONFIRM_SEEDS)
    for family in FAMILIES:
        own = [t for name, t in zip(table.families, pool, strict=True) if name == family]
        own += [known[r.schedules[family]] for r in rankings if family in r.schedules]
        by_family[family] = float(min(own))
    return by_family


def score(ranking: Ranking, truth: dict[str, float], error: float) -> Score:
    """Compare a ranking with the truth.

    Args:
        ranking: what a study said.
        truth: family -> its truth.
        error: the standard error of a truth.
    """
    families = list(truth)
    said = [ranking.values.get(family, np.inf) for family in families]
    finite = [value for value in said if np.isfinite(value)]
    said = [value if np.isfinite(value) else max(finite) + 1.0 for value in said]
    tau = stats.kendalltau(said, [truth[family] for family in families])[0]
    first = families[int(np.argmin(said))]
    near = truth[first] - min(truth.values()) <= 2 * np.sqrt(2) * error
    return Score(ranking.steps, float(tau), bool(near))


def replayed_tau(table: Table, trials: int, replays: int = 500) -> float:
    """Replay a ranking by so many random schedules of each family, in full: its mean tau."""
    pools, random = _pools(table), np.random.default_rng(0)
    truth = [table.truth(CONFIRM_SEEDS)[pool].min() for pool in pools]
    seen = table.squeezed[table.setup.total_steps]
    taus = []
    for _ in range(replays):
        said = [seen[random.permutation(pool)[:trials]].min() for pool in pools]
        taus.append(stats.kendalltau(said, truth)[0])
    return float(np.mean(taus))


def ceiling(table: Table) -> float:
    """Return the tau of the families' bests between two and the other fresh seeds, over all pairs.

    No study can be expected to order the families better than seeds agree on their order.
    """
    pools, taus = _pools(table), []
    for pair in combinations(range(len(table.fresh)), 2):
        others = [i for i in range(len(table.fresh)) if i not in pair]
        both = (table.fresh[list(pair)].mean(axis=0), table.fresh[others].mean(axis=0))
        one, other = ([losses[pool].min() for pool in pools] for losses in both)
        taus.append(stats.kendalltau(one, other)[0])
    return float(np.mean(taus))


def _pools(table: Table) -> list[NDArray[np.int64]]:
    return [np.flatnonzero(np.array(table.families) == family) for family in FAMILIES]


def rows(found: dict[str, list[Score]], horizon: int) -> list[list[str]]:
    """Return a row a way: full-run equivalents, tau with its standard error, the best named."""
    table: list[list[str]] = []
    for name, every in found.items():
        taus = np.array([s.tau for s in every])
        error = taus.std(ddof=1) / np.sqrt(len(taus)) if len(taus) > 1 else np.nan
        steps = np.mean([s.steps for s in every]) / horizon
        named = sum(s.best_named for s in every)
        table.append(
            [name, f"{steps:.0f}", f"{taus.mean():.2f} ± {error:.2f}", f"{named} of {len(every)}"]
        )
    return table
