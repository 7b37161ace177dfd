"""The baselines: schedules that anybody could have taken, each at its best rate."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

from optuna.trial import FrozenTrial

from schedsearch.confirmation.record import FINALIST, Finalist
from schedsearch.errors import ScheduleError
from schedsearch.horizon import warmup_steps
from schedsearch.objective import Objective
from schedsearch.schedules.schedule import Schedule, Warmup
from schedsearch.search.plan import Plan
from schedsearch.store.ranking import comparable
from schedsearch.store.records import read_result, read_schedule

RATES = 8
"""The fewest peak rates at which a baseline must have been tried to be called tuned."""
_WARMUP_FRAC = 0.05


@dataclass(frozen=True)
class Baseline:
    """A schedule that stands for doing nothing special.

    Args:
        role: its name, a family's.
        warms: whether it has a warm-up.
    """

    role: str
    warms: bool

    def fits(self, schedule: Schedule) -> bool:
        """Return whether a schedule is of this kind."""
        return schedule.family == self.role and (schedule.warmup is not None or not self.warms)

    def at_rates(self, plan: Plan) -> list[Schedule]:
        """Return it at peak rates spread over the study's range, on a logarithmic scale.

        Raises:
            ScheduleError: the horizon is too short for its warm-up.
        """
        space, warmup = plan.space, None
        if self.warms:
            shortest, longest = space.warmup_frac.low, space.warmup_frac.high
            frac = min(max(_WARMUP_FRAC, shortest), longest)
            in_epochs = space.step_unit == "epoch"
            per_step = plan.recipe.task.steps_per_epoch if in_epochs else 1
            warmup_steps(frac, ceil(plan.total_steps / per_step))
            warmup = Warmup(frac, space.warmup_start_factor)
        low, high = space.peak_lr.low, space.peak_lr.high
        rates = [low * (high / low) ** (i / (RATES - 1)) for i in range(RATES)]
        return [
            Schedule(self.role, rate, {}, warmup, space.step_unit, space.evals)
            for rate in sorted(set(rates))
        ]


BASELINES: tuple[Baseline, ...] = (
    Baseline("Constant", warms=False),
    Baseline("CosineAnnealingLR", warms=True),
)


def _ranked(trials: Sequence[FrozenTrial], objective: Objective) -> list[tuple[FrozenTrial, float]]:
    """Return trials that reached the full horizon, with their values, the best first."""
    found = [(trial, objective.of(read_result(trial))) for trial in trials if comparable(trial)]
    return sorted(found, key=lambda each: (objective.sign * each[1], each[0].number))


def candidates(
    trials: Sequence[FrozenTrial],
    objective: Objective,
    role: str,
    fits: Callable[[Schedule], bool],
    count: int,
    *,
    numbered: bool = True,
) -> list[Finalist]:
    """Return the best different schedules that fit, at most `count` of them."""
    found: dict[Schedule, Finalist] = {}
    for trial, value in _ranked(trials, objective):
        schedule = read_schedule(trial)
        if schedule is not None and fits(schedule) and schedule not in found:
            number = trial.number if numbered else None
            found[schedule] = Finalist(schedule, (role,), number, value)
        if len(found) == count:
            break
    return list(found.values())


def best_of_families(trials: Sequence[FrozenTrial], objective: Objective) -> list[Finalist]:
    """Return the best schedule of each family that has one, the best first."""
    found: dict[str, Finalist] = {}
    for each in candidates(trials, objective, FINALIST, lambda s: True, len(trials)):
        found.setdefault(each.schedule.family, each)
    return list(found.values())


def finalists_of(
    search: Sequence[FrozenTrial], tuned: Sequence[FrozenTrial], plan: Plan, count: int
) -> tuple[Finalist, ...]:
    """Return who is confirmed, chosen from the trials of the search and of the tuning.

    They are the best `count` of the search, in rank mode the best of each family, and the
    baselines.
    """
    objective = plan.objective
    if plan.confirmation.by_family:
        first = best_of_families(search, objective)
    else:
        first = candidates(search, objective, FINALIST, lambda s: True, count)
    chosen = {f.schedule: f for f in first}
    for baseline in BASELINES:
        both = candidates(search, objective, baseline.role, baseline.fits, 1)
        both += candidates(tuned, objective, baseline.role, baseline.fits, 1, numbered=False)
        if not both:
            continue
        best = min(both, key=lambda f: objective.sign * f.value)
        already = chosen.get(best.schedule)
        if already is None:
            chosen[best.schedule] = best
        else:
            roles = (*already.roles, baseline.role)
            chosen[best.schedule] = Finalist(best.schedule, roles, already.trial, best.value)
    return tuple(chosen.values())


def to_tune(search: Sequence[FrozenTrial], plan: Plan) -> tuple[list[Schedule], list[str]]:
    """Return the schedules to train for baselines that the search tried at too few rates.

    Returns:
        The schedules; and a sentence for each baseline that can't be tuned.
    """
    schedules: list[Schedule] = []
    impossible: list[str] = []
    for baseline in BASELINES:
        tried = candidates(search, plan.objective, baseline.role, baseline.fits, RATES)
        if len(tried) < RATES:
            try:
                schedules += baseline.at_rates(plan)
            except ScheduleError as error:
                impossible.append(f"no baseline {baseline.role}: {error}")
    return schedules, impossible
