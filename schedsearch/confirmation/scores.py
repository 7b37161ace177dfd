"""Scores: what the winner and the baselines reached on the test split, which is read once."""

from collections.abc import Mapping
from dataclasses import dataclass

from schedsearch.schedules.schedule import Schedule
from schedsearch.store.names import scores_name
from schedsearch.store.pairs import SEED
from schedsearch.store.records import read_result, read_schedule
from schedsearch.store.run import Run

_TEST = "test_"


@dataclass(frozen=True)
class Score:
    """What a schedule reached on the test split.

    Args:
        schedule: the schedule.
        seed: the seed of its training.
        diverged: whether the training diverged.
        test: the loss and the metrics on the test split, by name: "loss", "accuracy"; empty when
            the training diverged.
    """

    schedule: Schedule
    seed: int
    diverged: bool
    test: Mapping[str, float]


def scores_of(run: Run) -> list[Score]:
    """Return what was read of the test split for a run."""
    scores = []
    for trial in run.ended_trials(scores_name(run.name)):
        schedule, result = read_schedule(trial), read_result(trial)
        if schedule is not None:
            seed = int(trial.system_attrs[SEED])
            reached = {
                name.removeprefix(_TEST): float(value)
                for name, value in result.items()
                if name.startswith(_TEST)
            }
            scores.append(Score(schedule, seed, bool(result["diverged"]), reached))
    return scores


def score_of(run: Run, schedule: Schedule) -> Score | None:
    """Return what a schedule of a run reached on the test split; None where it was not read."""
    return next((score for score in scores_of(run) if score.schedule == schedule), None)
