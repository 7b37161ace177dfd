"""Refuse what the keys of a study file can't mean together."""

from schedsearch.config import StudyConfig
from schedsearch.errors import ConfigError, unknown
from schedsearch.statistics.compare import TESTS, least_seeds


def refuse_two_pruners(config: StudyConfig) -> None:
    """Refuse a pruner of Optuna's beside rungs."""
    pruner, kind = config.search.pruner, config.fidelity.kind
    if pruner != "none" and kind != "full":
        raise ConfigError(
            f"search.pruner = {pruner!r} with fidelity.kind = {kind!r}: rungs prune already; "
            "say pruner = 'none', or kind = 'full'"
        )


def refuse_too_few(config: StudyConfig, families: int) -> None:
    """Refuse too few trials for the families, and too few seeds for the test."""
    ranks, wish = config.mode == "rank", config.confirmation
    if ranks and config.trials < families:
        raise ConfigError(
            f"trials = {config.trials}: mode = 'rank' gives each of {families} families as many, "
            f"so it needs at least {families} (or fewer families)"
        )
    if wish.test not in TESTS:
        raise ConfigError(unknown("confirmation.test", wish.test, TESTS))
    others = (families if ranks else wish.finalists) + 1  # with two baselines, without the winner
    least = least_seeds(wish.test, others)
    if 0 < wish.seeds < least:
        raise ConfigError(
            f"confirmation.seeds = {wish.seeds}: {TESTS[wish.test][0]} of a winner against "
            f"{others} others needs at least {least} seeds (0: no confirmation)"
        )
