"""The answer in words: which schedule, how it compares, and how sure that is."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from schedsearch.confirmation.claim import Confirmation
from schedsearch.objective import Objective
from schedsearch.report.compute import compute_of
from schedsearch.report.edges import edge_advice, widening_of
from schedsearch.report.leaderboard import leaderboard
from schedsearch.report.snapshot import Snapshot, TrialRow
from schedsearch.report.wording import reached_in_words, schedule_in_words
from schedsearch.schedules.schedule import Schedule
from schedsearch.statistics.intervals import Estimate

BASELINES = ("Constant", "CosineAnnealingLR")


@dataclass(frozen=True)
class Answer:
    """The answer at the top of a report.

    Args:
        headline: the best schedule in one line, or the reason why there is none.
        sentences: how it compares, how sure that is, and the evidence.
        code: Python that builds the schedule; empty if there is none.
    """

    headline: str
    sentences: tuple[str, ...]
    code: str = ""


def answer(run: Snapshot) -> Answer:
    """Return what a run found: the winner of its confirmation, or else the best of its search."""
    if run.confirmed is not None:
        return _confirmed(run, run.confirmed)
    best = run.best_rows()
    return _searched(run, best) if best else _nothing(run)


def _confirmed(run: Snapshot, confirmed: Confirmation) -> Answer:
    winner = confirmed.winner
    schedule, mean, say = winner.finalist.schedule, winner.mean, run.objective.text
    said = [
        f"{confirmed.sentence()}.",
        f"Its mean final {run.objective.words} over {len(winner.results)} fresh seeds is "
        f"{say(mean.value)} ({confirmed.level:.0%} interval {say(mean.low)} to {say(mean.high)}).",
    ]
    for other in confirmed.finalists[1:]:
        if other.finalist.schedule.family in BASELINES and other.difference is not None:
            gap = _gap(run.objective, other.difference)
            apart = "can" if other.apart else "can't"
            said.append(
                f"The mean of {other.label} is worse by {gap}: it {apart} be told apart from the "
                "winner."
            )
    said += [*_tested(winner.test, run), *_edge(run), _stands_on(run)]
    return Answer(schedule_in_words(schedule.to_dict()), tuple(said), code_for(schedule))


def _gap(objective: Objective, gap: Estimate) -> str:
    value, low, high = (100 * x if objective.share else x for x in (gap.value, gap.low, gap.high))
    return f"{value:.4g}{' points' * objective.share} ({low:.4g} to {high:.4g})"


def _searched(run: Snapshot, best: list[TrialRow]) -> Answer:
    top, by_family = best[0], {row.family: row for row in best}
    finished = int((run.trials["state"] == "finished").sum())
    luck = f", so the best of {finished} is partly the luckiest" if finished > 1 else ""
    said = [f"It reached {reached_in_words(top.measured, run.told)} (trial {top.trial})."]
    said.append(f"Not confirmed on fresh seeds: one seed judged every trial{luck}.")
    others = [by_family[name] for name in BASELINES if name in by_family and name != top.family]
    said += [_compared(row, top, run) for row in others]
    if len(best) > 1 and best[1].family not in BASELINES:
        said.append(_compared(best[1], top, run, "the next best family, "))
    schedule = run.schedule_of(top.study, top.trial)
    if schedule is not None:
        said += _tested(run.test_of(schedule), run)
    said += [*_edge(run), _stands_on(run)]
    headline = schedule_in_words(json.loads(top.schedule))
    return Answer(headline, tuple(said), code_for(schedule))


def _nothing(run: Snapshot) -> Answer:
    diverged = int((run.trials["state"] == "diverged").sum())
    if diverged and diverged == len(run.trials):
        why = "The rates are too high for this model: lower space.peak_lr."
        return Answer(f"No schedule: all {diverged} trials diverged", (why, _stands_on(run)))
    return Answer("No trial has finished yet", (_stands_on(run),))


def _tested(test: Mapping[str, float], run: Snapshot) -> list[str]:
    if not test:
        return []
    measured = {f"val_{name}": value for name, value in test.items()}
    reached = reached_in_words(measured, (o for o in run.objectives if o.name in measured), "test")
    return [f"Trained once more on a fresh seed, it reached {reached}."]


def _compared(row: TrialRow, top: TrialRow, run: Snapshot, what: str = "") -> str:
    trials, objective = run.trials, run.objective
    count = int(((trials["family"] == row.family) & (trials["state"] == "finished")).sum())
    by = _worse_by(objective, row.measured[objective.name], top.measured[objective.name])
    of = "its only trial" if count == 1 else f"the best of its {count} trials"
    reached = reached_in_words(row.measured, run.told)
    return f"Compared with {what}{row.family}: {of} reached {reached}, a {objective.words} {by}."


def _worse_by(objective: Objective, value: float, best: float) -> str:
    """Return by how much a value is worse than the best, in words."""
    where = "higher" if objective.minimizes else "lower"
    if objective.share:
        return f"{abs(value - best) * 100:.2f} points {where}"
    if objective.minimizes and best > 0:
        return f"{value / best - 1:.0%} {where}"
    return f"{abs(value - best):.4g} {where}"


def _edge(run: Snapshot) -> list[str]:
    searched = run.searched_rates()
    advice = edge_advice(leaderboard(run.trials, run.objective), run.confirmed, searched)
    return [f"{text}." for text in (widening_of(run.attributes), advice) if text is not None]


def _stands_on(run: Snapshot) -> str:
    ended, states = run.ended(), run.trials["state"].value_counts()
    counts = ", ".join(f"{count} {state}" for state, count in states.items()) or "none yet"
    seconds = float(ended["seconds"].fillna(0.0).sum())
    steps = f"{int(run.spent(ended).sum()):,} steps"
    if (run.rungs["horizon"] < run.config.training.total_steps).any():
        steps = compute_of(run.trials, run.config.training.total_steps).sentence
    return (
        f"It stands on {len(run.trials)} of {run.config.trials} trials ({counts}), "
        f"{steps}, and {seconds:,.0f} s of training."
    )


def code_for(schedule: Schedule | None) -> str:
    """Return Python that builds a schedule, exact to the last bit, and its scheduler.

    >>> print(code_for(Schedule("ExponentialLR", 0.1, {"final_factor": 0.01})))
    import schedsearch
    <BLANKLINE>
    schedule = schedsearch.Schedule("ExponentialLR", peak_lr=0.1, params={'final_factor': 0.01})
    scheduler = schedule.build(optimizer, total_steps=...)
    """
    if schedule is None:
        return ""
    given = [f'"{schedule.family}"', f"peak_lr={schedule.peak_lr!r}"]
    if schedule.params:
        given.append(f"params={schedule.to_dict()['params']!r}")
    if schedule.warmup:
        warmup = schedule.warmup
        given.append(f"warmup=schedsearch.Warmup({warmup.frac!r}, {warmup.start_factor!r})")
    if schedule.step_unit != "step":
        given.append(f"step_unit={schedule.step_unit!r}")
    if schedule.reacts_to_metric:
        given.append(f"evals={schedule.evals}")
    if schedule.metric is not None:
        given.append(f"metric={schedule.metric!r}")
    inside = ", ".join(given)
    if len(inside) > 64:
        inside = "\n    " + ",\n    ".join(given) + ",\n"
    return (
        f"import schedsearch\n\nschedule = schedsearch.Schedule({inside})\n"
        "scheduler = schedule.build(optimizer, total_steps=...)"
    )
