"""The answer in words: which schedule, how it compares, and how sure that is."""

import json
from dataclasses import dataclass

from schedsearch.confirmation.claim import Confirmation
from schedsearch.report.compute import compute_of
from schedsearch.report.edges import edge_advice
from schedsearch.report.leaderboard import leaderboard
from schedsearch.report.snapshot import Snapshot, TrialRow
from schedsearch.report.wording import schedule_in_words
from schedsearch.schedules.schedule import Schedule

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
    schedule, mean = winner.finalist.schedule, winner.mean
    said = [
        f"{confirmed.sentence()}.",
        f"Its mean final {run.objective.words} over {len(winner.results)} fresh seeds is "
        f"{mean.value:.4g} ({confirmed.level:.0%} interval {mean.low:.4g} to {mean.high:.4g}).",
    ]
    for other in confirmed.finalists[1:]:
        if other.finalist.schedule.family in BASELINES and other.difference is not None:
            gap = other.difference
            apart = "can" if other.apart else "can't"
            said.append(
                f"The mean of {other.label} is worse by {gap.value:.4g} ({gap.low:.4g} to "
                f"{gap.high:.4g}): it {apart} be told apart from the winner."
            )
    if winner.test_accuracy is not None:
        said.append(_tested(winner.test_accuracy))
    said += [*_edge(run), _stands_on(run)]
    warm = schedule.warmup.frac if schedule.warmup else 0.0
    params = json.dumps(schedule.to_dict()["params"])
    headline = schedule_in_words(schedule.family, schedule.peak_lr, warm, params)
    return Answer(headline, tuple(said), code_for(schedule))


def _searched(run: Snapshot, best: list[TrialRow]) -> Answer:
    top, by_family = best[0], {row.family: row for row in best}
    finished = int((run.trials["state"] == "finished").sum())
    luck = f", so the best of {finished} is partly the luckiest" if finished > 1 else ""
    said = [f"It reached {_reached(top)} on the validation split (trial {top.trial})."]
    said.append(f"Not confirmed on fresh seeds: one seed judged every trial{luck}.")
    others = [by_family[name] for name in BASELINES if name in by_family and name != top.family]
    said += [_compared(row, top, run) for row in others]
    if len(best) > 1 and best[1].family not in BASELINES:
        said.append(_compared(best[1], top, run, "the next best family, "))
    schedule = run.schedule_of(top.study, top.trial)
    test = run.test_score()
    if schedule is not None and test.get("schedule") == schedule.to_dict():
        said += [_tested(a) for a in [test["test_accuracy"]] if a is not None]
    said += [*_edge(run), _stands_on(run)]
    headline = schedule_in_words(top.family, top.peak_lr, top.warmup_frac, top.params)
    return Answer(headline, tuple(said), code_for(schedule))


def _nothing(run: Snapshot) -> Answer:
    diverged = int((run.trials["state"] == "diverged").sum())
    if diverged and diverged == len(run.trials):
        why = "The rates are too high for this model: lower space.peak_lr."
        return Answer(f"No schedule: all {diverged} trials diverged", (why, _stands_on(run)))
    return Answer("No trial has finished yet", (_stands_on(run),))


def _reached(row: TrialRow) -> str:
    return f"a loss of {row.val_loss:.4g} and an accuracy of {row.val_accuracy:.2%}"


def _tested(accuracy: float) -> str:
    return f"Trained once more on a fresh seed, it reached {accuracy:.2%} on the test split."


def _compared(row: TrialRow, top: TrialRow, run: Snapshot, what: str = "") -> str:
    trials = run.trials
    count = int(((trials["family"] == row.family) & (trials["state"] == "finished")).sum())
    words = run.objective.words
    best, value = (float(getattr(each, run.objective.name)) for each in (top, row))
    if not run.objective.minimizes:
        by = f"a {words} {(best - value) * 100:.2f} points lower"
    elif best > 0:
        by = f"a {words} {value / best - 1:.0%} higher"
    else:
        by = f"a {words} {value - best:.4g} higher"
    of = "its only trial" if count == 1 else f"the best of its {count} trials"
    return f"Compared with {what}{row.family}: {of} reached {_reached(row)}, {by}."


def _edge(run: Snapshot) -> list[str]:
    searched = run.searched_rates()
    advice = edge_advice(leaderboard(run.trials, run.objective), run.confirmed, searched)
    return [] if advice is None else [f"{advice}."]


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
    inside = ", ".join(given)
    if len(inside) > 64:
        inside = "\n    " + ",\n    ".join(given) + ",\n"
    return (
        f"import schedsearch\n\nschedule = schedsearch.Schedule({inside})\n"
        "scheduler = schedule.build(optimizer, total_steps=...)"
    )
