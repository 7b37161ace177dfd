"""Who is confirmed: the best of the search, and two references that anybody could have taken."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

from optuna.trial import FrozenTrial

from schedsearch.errors import ScheduleError
from schedsearch.horizon import warmup_steps
from schedsearch.schedules import Schedule, Warmup
from schedsearch.search.plan import Plan
from schedsearch.storage.best import Objective, comparable
from schedsearch.storage.finalists import FINALIST, Finalist
from schedsearch.storage.records import read_result, read_schedule

RATES = 8
"""The fewest rates at which a reference must have been tried to be called tuned."""
_WARMUP_FRAC = 0.05


@dataclass(frozen=True)
class Reference:
    """A schedule that stands for doing nothing special.

    Args:
        role: its name, a family's.
        warms: whether it has a warm-up.
    """

    role: str
    warms: bool

    def fits(self, schedule: Schedule) -> bool:
        """Say whether a schedule is of this kind."""
        return schedule.family == self.role and (schedule.warmup is not None or not self.warms)

    def at_rates(self, plan: Plan) -> list[Schedule]:
        """Give it at rates spread over the study's range, on a logarithmic scale.

        Raises:
            ScheduleError: the horizon is too short for its warm-up.
        """
        space, warmup = plan.space, None
        if self.warms:
            shortest, longest = space.warmup_frac.low, space.warmup_frac.high
            frac = min(max(_WARMUP_FRAC, shortest), longest)
            in_epochs = space.step_unit == "epoch"
            per_step = plan.task.steps_per_epoch if in_epochs else 1
            warmup_steps(frac, ceil(plan.total_steps / per_step))
            warmup = Warmup(frac, space.warmup_start_factor)
        low, high = space.base_lr.low, space.base_lr.high
        rates = [low * (high / low) ** (i / (RATES - 1)) for i in range(RATES)]
        return [
            Schedule(self.role, rate, {}, warmup, space.step_unit, space.evals)
            for rate in sorted(set(rates))
        ]


CONSTANT = Reference("Constant", warms=False)
COSINE = Reference("CosineAnnealingLR", warms=True)
ALL = (CONSTANT, COSINE)


def ranked(trials: Sequence[FrozenTrial], objective: Objective) -> list[tuple[FrozenTrial, float]]:
    """Return trials that ran their whole horizon with their values, the best first."""
    sign = 1.0 if objective == "val_loss" else -1.0
    found = [(trial, float(read_result(trial)[objective])) for trial in trials if comparable(trial)]
    return sorted(found, key=lambda each: (sign * each[1], each[0].number))


def candidates(
    trials: Sequence[FrozenTrial],
    objective: Objective,
    role: str,
    fits: Callable[[Schedule], bool],
    count: int,
    *,
    numbered: bool = True,
) -> list[Finalist]:
    """Return the best few different schedules that fit."""
    found: dict[Schedule, Finalist] = {}
    for trial, value in ranked(trials, objective):
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
    """Choose who is confirmed, from the trials of the search and those that tuned references.

    Of the search it is the best few; in rank mode the best of each family that has one.
    """
    objective = plan.config.search.objective
    sign = 1.0 if objective == "val_loss" else -1.0
    if plan.config.mode == "rank":
        first = best_of_families(search, objective)
    else:
        first = candidates(search, objective, FINALIST, lambda s: True, count)
    chosen = {f.schedule: f for f in first}
    for reference in ALL:
        both = candidates(search, objective, reference.role, reference.fits, 1)
        both += candidates(tuned, objective, reference.role, reference.fits, 1, numbered=False)
        if both:
            best = min(both, key=lambda f: sign * f.value)
            already = chosen.get(best.schedule)
            if already is None:
                chosen[best.schedule] = best
            else:
                roles = (*already.roles, reference.role)
                chosen[best.schedule] = Finalist(best.schedule, roles, already.trial, best.value)
    return tuple(chosen.values())


def to_tune(search: Sequence[FrozenTrial], plan: Plan) -> tuple[list[Schedule], list[str]]:
    """Give the schedules that must be trained for references that the search tried too seldom.

    Returns:
        the schedules; and what can't be tuned, in words.
    """
    schedules, impossible = [], []
    objective = plan.config.search.objective
    for reference in ALL:
        tried = candidates(search, objective, reference.role, reference.fits, RATES)
        if len(tried) < RATES:
            try:
                schedules += reference.at_rates(plan)
            except ScheduleError as error:
                impossible.append(f"no reference {reference.role}: {error}")
    return schedules, impossible
