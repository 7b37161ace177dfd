"""Optuna's samplers by name, each seeded by the number of the trial that it samples.

A sampler that is made again with the same seed would repeat its random draws: after a resume, and
in every worker. Here the draws of a trial follow from the study's seed and the trial's number.
"""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, QMCSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from schedsearch.errors import ConfigError, unknown
from schedsearch.seeds import derive_seed

SamplerFactory = Callable[[int, int, Mapping[str, Any]], BaseSampler]


def _tpe(study_seed: int, trial_seed: int, args: Mapping[str, Any]) -> BaseSampler:
    return optuna.samplers.TPESampler(seed=trial_seed, **args)


def _random(study_seed: int, trial_seed: int, args: Mapping[str, Any]) -> BaseSampler:
    return RandomSampler(seed=trial_seed, **args)


def _qmc(study_seed: int, trial_seed: int, args: Mapping[str, Any]) -> BaseSampler:
    # one sequence for the whole study, whose next point the storage knows
    return QMCSampler(
        seed=study_seed,
        independent_sampler=RandomSampler(seed=trial_seed),
        warn_independent_sampling=False,
        **({"scramble": True} | dict(args)),
    )


def _gp(study_seed: int, trial_seed: int, args: Mapping[str, Any]) -> BaseSampler:
    return GPSampler(seed=trial_seed, warn_independent_sampling=False, **args)


def _cma_es(study_seed: int, trial_seed: int, args: Mapping[str, Any]) -> BaseSampler:
    return CmaEsSampler(
        seed=trial_seed,
        independent_sampler=RandomSampler(seed=trial_seed),
        warn_independent_sampling=False,
        **args,
    )


SAMPLERS: Mapping[str, SamplerFactory] = {
    "TPE": _tpe,
    "random": _random,
    "QMC": _qmc,
    "GP": _gp,
    "CMA-ES": _cma_es,
}

# These model COMPLETE trials only: a diverged one is told to them as complete, with a bad value.
READ_COMPLETE_ONLY = ("GP", "CMA-ES")

# These learn from a few good trials and from the spread of the rest: part of it will do.
LEARN_FROM_PART = ("TPE",)


def make_sampler(name: str, args: Mapping[str, Any], study_seed: int) -> "SeededByTrial":
    """Make a sampler by name.

    Raises:
        ConfigError: an unknown name, or arguments that it does not take.
    """
    if name not in SAMPLERS:
        raise ConfigError(unknown("sampler", name, SAMPLERS))
    if "seed" in args:
        raise ConfigError("sampler_args must not hold seed: the study's seed decides")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = SeededByTrial(name, args, study_seed)
    try:
        trial = optuna.create_study(
            sampler=sampler
        ).ask()  # some look at them only when they sample
        trial.suggest_float("x", 0.0, 1.0)
    except (TypeError, ValueError, ImportError, AttributeError, AssertionError) as error:
        raise ConfigError(f"sampler {name} with {dict(args)}: {error}") from error
    return SeededByTrial(name, args, study_seed)


class SeededByTrial(BaseSampler):
    """Sample each trial with a sampler whose seed follows from the trial's number."""

    def __init__(self, name: str, args: Mapping[str, Any], study_seed: int) -> None:
        self._make = SAMPLERS[name]
        self._args = args
        self._study_seed = study_seed
        self._prepared: int | None = None
        self._sampler: BaseSampler = RandomSampler()
        # what finished trials have in common: TPE finds it anew for each trial, from all of them
        self._keeps_common = name == "TPE" and not args.get("group")
        self._common: dict[str, BaseDistribution] | None = None

    def prepare(self, number: int) -> None:
        """Make the sampler of the trial with a number."""
        seed = derive_seed(self._study_seed, "sampler")
        trial_seed = derive_seed(self._study_seed, "sampler", number)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self._sampler = self._make(seed, trial_seed, self._args)
        self._prepared = number

    def learned(self) -> None:
        """Forget what follows from the finished trials: there are more of them now."""
        self._common = None

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        if self._prepared is None:
            self.prepare(trial.number)
        self._prepared = None
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        if self._common is not None:
            return self._common
        common = self._sampler.infer_relative_search_space(study, trial)
        self._common = common if self._keeps_common else None
        return common

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Any
    ) -> Any:
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        self._sampler.after_trial(study, trial, state, values)
