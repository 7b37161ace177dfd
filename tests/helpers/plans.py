"""Plans of tiny studies, and how the jobs of one are trained by the plain loop."""

from collections.abc import Sequence

from schedsearch import StudyConfig
from schedsearch.schedules.schedule import Schedule
from schedsearch.search.draft import draft_of
from schedsearch.search.plan import Plan
from schedsearch.training.curve import Curve
from schedsearch.training.reference import train


def plan_of(config: StudyConfig) -> Plan:
    """Return the plan of a study that leaves no peak rate open."""
    draft = draft_of(config, "cpu")
    return draft.assumed_plan(draft.given_peak_lr)


def plain_curves(
    plan: Plan, schedules: Sequence[Schedule], total_steps: int, seeds: Sequence[int]
) -> list[Curve]:
    """Train schedules at a horizon, each on its seed, by the plain loop."""
    pairs = zip(schedules, seeds, strict=True)
    return train(plan.recipe, [plan.recipe.job(each, seed, total_steps) for each, seed in pairs])
