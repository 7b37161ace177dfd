"""Shares: the studies of which a search is made, each with its part of the trials.

It is one study with all of them; or in rank mode one for each family. There all families get
equally many trials, whatever they turn out to be worth, and each is tuned as well as the others:
its sampler sees that family alone, and at a rung its trials are compared with each other only.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import ceil

from optuna.study import Study
from optuna.trial import FrozenTrial

from schedsearch.search.opening import open_beside
from schedsearch.search.plan import Plan
from schedsearch.seeds import derive_seed
from schedsearch.storage.place import study_of_family


@dataclass(frozen=True, eq=False)
class Share:
    """One study of a search.

    Args:
        study: the study.
        plan: the search's plan for this study alone.
        family: the one family that it has; empty where trials sample the family.
    """

    study: Study
    plan: Plan
    family: str = ""

    def trial_in_words(self, number: int) -> str:
        """Name a trial."""
        return f"trial {number} of {self.family}" if self.family else f"trial {number}"


def open_shares(study: Study, plan: Plan) -> list[Share]:
    """Create the studies of a run's search, or load them.

    Args:
        study: the run's study; in rank mode it has no trials itself.
        plan: what the run does.

    Raises:
        RunError: the storage has a study of the same name that is not the run's.
    """
    if plan.config.mode == "search":
        return [Share(study, plan)]
    families = (family.name for family in plan.space.families)
    return [
        Share(open_beside(study, study_of_family(study.study_name, family)), share, family)
        for family, share in zip(families, plans_of_shares(plan), strict=True)
    ]


def trials_of(shares: Iterable[Share]) -> list[FrozenTrial]:
    """Return the trials of all studies of a search."""
    return [trial for share in shares for trial in share.study.get_trials(deepcopy=False)]


def divided(total: int, parts: int) -> Sequence[int]:
    """Divide a total evenly; the first parts get what remains.

    >>> divided(11, 4)
    [3, 3, 3, 2]
    """
    return [total // parts + (i < total % parts) for i in range(parts)]


def plans_of_shares(plan: Plan) -> list[Plan]:
    """Give the plan of each study of a search; together they do what the run's plan does.

    A family draws by a seed of its own: two with the same parameters would draw the same otherwise.
    All families together ask as many trials at once as a search in one study does.
    """
    config, families = plan.config, plan.space.families
    if config.mode == "search":
        return [plan]
    at_once = {"batch": ceil(config.batch / len(families))}
    search = config.search.model_copy(update=at_once)
    plans = []
    for family, share in zip(families, divided(config.trials, len(families)), strict=True):
        seed = derive_seed(config.seed, "family", family.name)
        changes = {"mode": "search", "trials": share, "seed": seed, "search": search}
        own = replace(plan.space, families=(family,))
        plans.append(replace(plan, config=config.model_copy(update=changes), space=own, notes=()))
    return plans


def trials_at_once(plan: Plan) -> int:
    """Give how many trials are asked at once, and trained together."""
    return sum(share.batch for share in plans_of_shares(plan))


def waves_of(plan: Plan, trials: int) -> list[tuple[int, int]]:
    """Give how many of so many trials are trained at once, at the most, and for how many steps.

    There is one such wave for each rung.
    """
    shares = plans_of_shares(plan)
    each = [plan.rungs.waves(min(share.batch, ceil(trials / len(shares)))) for share in shares]
    rungs = zip(*each, strict=True)
    return [(sum(runs for runs, _ in rung), rung[0][1]) for rung in rungs]


def steps_of_search(plan: Plan, trials: int) -> int:
    """Give the optimizer steps that so many trials take when none diverges or is pruned."""
    shares = plans_of_shares(plan)
    each = zip(shares, divided(trials, len(shares)), strict=True)
    return sum(share.search_steps(count) for share, count in each)
