"""Confirmation: who won on fresh seeds, how surely, and who can't be told apart from the winner."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from optuna.trial import FrozenTrial

from schedsearch.confirmation.columns import confirmation_columns
from schedsearch.confirmation.record import Concluded, Finalist
from schedsearch.confirmation.scores import Score
from schedsearch.objective import Objective
from schedsearch.statistics.compare import TESTS, Comparison, compare, pairing_saved
from schedsearch.statistics.curves import steps_to_target
from schedsearch.statistics.intervals import Estimate, mean_interval, resampled_interval
from schedsearch.store.columns import dtypes_of
from schedsearch.store.pairs import by_pair
from schedsearch.store.records import Result, read_result

_MEASURED = ("val_", "best_val_", "ema_val_", "best_ema_val_")  # how means of results begin


@dataclass(frozen=True)
class Confirmed:
    """A finalist with what it reached on the fresh seeds.

    Args:
        finalist: who it is.
        results: its result on each seed.
        mean: mean objective over the seeds; not a number when one diverged.
        difference: how much worse it is than the winner; None for the winner, or when it diverged.
        p: the p-value of the hypothesis that it is not worse than the winner, corrected for the
            number of finalists; None as above.
        apart: whether it can be told apart from the winner.
        test: the loss and the metrics on the test split, of the winner and the baselines; empty
            where it was not measured there.
    """

    finalist: Finalist
    results: tuple[Result, ...]
    mean: Estimate
    difference: Estimate | None
    p: float | None
    apart: bool
    test: Mapping[str, float]

    @property
    def diverged(self) -> int:
        """On how many seeds it diverged."""
        return sum(bool(result["diverged"]) for result in self.results)

    @property
    def label(self) -> str:
        """Its family, and where it comes from."""
        return self.finalist.label

    def result(self) -> dict[str, Any]:
        """Return the means over the seeds, and the median of the steps to the target."""
        first, horizon = self.results[0], max(r["steps"] for r in self.results)
        names = [n for n in first if n.startswith(_MEASURED) or n == "train_loss"]
        means = {name: float(np.mean([r[name] for r in self.results])) for name in names}
        if "steps_to_target" not in first:
            return means
        hits = [r["steps_to_target"] for r in self.results if r["steps_to_target"] is not None]
        median = steps_to_target(hits, [horizon] * (len(self.results) - len(hits))).median
        return means | {"steps_to_target": int(median) if np.isfinite(median) else None}

    @property
    def measured(self) -> list[str]:
        """The values of an evaluation, such as "val_loss" and "val_accuracy"."""
        return [n for n in self.results[0] if n.startswith(("val_", "ema_val_"))]


@dataclass(frozen=True)
class Confirmation:
    """What a confirmation says.

    Args:
        objective: what was compared.
        basis: finalists, seeds, test, and how many were tried.
        finalists: the best first; those that diverged on a seed last.
        comparison: the winner against the others; rows are places.
        level: the confidence of what is said.
        saved: the share of the differences' variance that common seeds saved.
    """

    objective: Objective
    basis: Concluded
    finalists: tuple[Confirmed, ...]
    comparison: Comparison
    level: float
    saved: Estimate

    @property
    def winner(self) -> Confirmed:
        """The best on the fresh seeds."""
        return self.finalists[0]

    @property
    def together(self) -> tuple[Confirmed, ...]:
        """The winner, and those that can't be told apart from it."""
        return tuple(each for each in self.finalists if not each.apart)

    def sentence(self) -> str:
        """Return the claim in words, which say no more than was seen."""
        winner, others = self.winner, self.finalists[1:]
        alike = [f.label for f in others if not f.apart]
        behind = [f.label for f in others if f.apart and not f.diverged]
        seeds = f"{len(self.basis.seeds)} fresh seeds"
        how = f"{TESTS[_test(self.basis)][0]} on {seeds}"
        if self.comparison.better:
            count = len(self.comparison.differences)
            what = f"the {count} others" if count > 1 else behind[0]
            text = (
                f"{winner.label} is better than {what} confirmed ({_p(self.comparison.p)}, {how})"
            )
        elif alike:
            text = f"{winner.label} can't be told apart from {_listed(alike)} ({how})"
            text += f"; it can from {_listed(behind)}" if behind else ""
        else:
            text = (
                f"{winner.label} has the only mean on {seeds}: there is nothing to compare it with"
            )
        failed = [f"{f.label} diverged on {f.diverged} seeds" for f in others if f.diverged]
        text += "".join(f"; {each}" for each in failed)
        if len(self.basis.looks) > 1:
            before = ", ".join(map(str, self.basis.looks[:-1]))
            text += f"; seeds were added after a look at {before}, which the test doesn't know"
        return f"{text}. Tried in the search: {self.basis.tried}"

    def frame(self) -> pd.DataFrame:
        """Return one row per finalist, the best first; see `confirmation_columns`."""
        rows = [_row(place, each) for place, each in enumerate(self.finalists, start=1)]
        tested = {name: None for each in self.finalists for name in each.test}
        columns = dtypes_of(confirmation_columns(self.winner.measured[1:], tested))
        return pd.DataFrame(rows, columns=list(columns)).astype(columns)

    def to_dict(self) -> dict[str, Any]:
        """Return what best.json says of it."""
        return {
            "objective": self.objective.name,
            "seeds": len(self.basis.seeds),
            "mean": self.winner.mean.value,
            "interval": [self.winner.mean.low, self.winner.mean.high],
            "level": self.level,
            "test": TESTS[_test(self.basis)][0],
            "better_than_all_others": self.comparison.better,
            "p": self.comparison.p,
            "not_told_apart": [each.label for each in self.together[1:]],
            "tried": self.basis.tried,
            "variance_saved_by_pairing": self.saved.value,
            "seeds_looked_at": list(self.basis.looks),
            "finalists": [
                {
                    "schedule": each.finalist.schedule.to_dict(),
                    "roles": list(each.finalist.roles),
                    "trial": each.finalist.trial,
                    "mean": None if each.diverged else each.mean.value,
                    "diverged": each.diverged,
                    "told_apart": each.apart,
                }
                | {f"test_{name}": value for name, value in each.test.items()}
                for each in self.finalists
            ],
        }


def conclude_from(
    basis: Concluded,
    trials: Sequence[FrozenTrial],
    objective: Objective,
    scores: Sequence[Score] = (),
    level: float = 0.95,
) -> Confirmation | None:
    """Draw the conclusion from the trials of a confirmation; None when all finalists diverged.

    Args:
        basis: who took part, on which seeds.
        trials: the confirmation's trials that have ended.
        objective: what is compared.
        scores: what was read of the test split.
        level: the confidence of what is said.
    """
    found, sign = by_pair(trials), objective.sign
    results = [
        tuple(read_result(found[f.schedule.to_json(), seed]) for seed in basis.seeds)
        for f in basis.finalists
    ]
    sound = [i for i, rows in enumerate(results) if not any(r["diverged"] for r in rows)]
    if not sound:
        return None
    values = np.array([[objective.of(r) for r in results[i]] for i in sound])
    order = np.argsort(sign * values.mean(axis=1), kind="stable")
    sound, values = [sound[i] for i in order], values[order]
    comparison = compare(sign * values, _test(basis), level)
    differences = {d.index: d for d in comparison.differences}
    tested = {score.schedule: score.test for score in scores}
    places = sound + [i for i in range(len(results)) if i not in sound]
    finalists = []
    for place, i in enumerate(places):
        difference = differences.get(place)
        rows = results[i]
        nan = Estimate(np.nan, np.nan, np.nan, len(rows))
        finalists.append(
            Confirmed(
                finalist=basis.finalists[i],
                results=rows,
                mean=mean_interval(values[place], level) if place < len(sound) else nan,
                difference=None if difference is None else difference.estimate,
                p=None if difference is None else difference.p,
                apart=place >= len(sound) if difference is None else difference.apart,
                test=tested.get(basis.finalists[i].schedule, {}),
            )
        )
    saved = resampled_interval(values.T, lambda drawn: pairing_saved(drawn.T), level)
    return Confirmation(objective, basis, tuple(finalists), comparison, level, saved)


def _test(basis: Concluded) -> Any:
    return basis.test


def _row(place: int, each: Confirmed) -> dict[str, Any]:
    finalist, difference = each.finalist, each.difference
    row = {
        "place": place,
        "schedule": each.label,
        "family": finalist.schedule.family,
        "roles": ", ".join(finalist.roles),
        "trial": finalist.trial,
        "peak_lr": finalist.schedule.peak_lr,
        "seeds": len(each.results),
        "diverged": each.diverged,
        "mean": each.mean.value,
        "low": each.mean.low,
        "high": each.mean.high,
        "p": each.p,
        "told_apart": each.apart,
        "search_value": finalist.value,
        "json": finalist.schedule.to_json(),
    }
    row |= {f"test_{name}": value for name, value in each.test.items()}
    if not each.diverged:
        row |= {n: float(np.mean([r[n] for r in each.results])) for n in each.measured}
    if difference is not None:
        row |= {
            "difference": difference.value,
            "difference_low": difference.low,
            "difference_high": difference.high,
        }
    return row


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
