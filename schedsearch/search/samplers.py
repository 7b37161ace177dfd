"""Optuna's samplers by name, each seeded by the number of the trial that it samples.

A sampler that is made again with the same seed would repeat its random draws: after a resume, and
in every worker. Here the draws of a trial follow from the study's seed and the trial's number.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, QMCSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from schedsearch.errors import ConfigError
from schedsearch.named import find_named
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


@dataclass(frozen=True)
class Sampler:
    """One of Optuna's samplers: all that the package knows of it.

    Args:
        name: its name in a study file.
        about: one sentence.
        make: makes it, from the study's seed, the trial's seed and the arguments.
        reads_pruned: whether it learns from pruned trials; to one that models complete trials
            only, a diverged trial is told as complete, with a bad value.
        learns_from_part: whether it learns from a few good trials and the spread of the rest, so
            that a part of the trials will do.
        sorts_parameters: whether it draws the shared parameters in the order of their names.
    """

    name: str
    about: str
    make: SamplerFactory
    reads_pruned: bool = True
    learns_from_part: bool = False
    sorts_parameters: bool = True


SAMPLERS: tuple[Sampler, ...] = (
    Sampler(
        "TPE",
        "A density of the good trials over one of the rest, drawn where it is highest.",
        _tpe,
        learns_from_part=True,
    ),
    Sampler("random", "Each parameter by itself, evenly over its range.", _random),
    Sampler(
        "QMC",
        "A low-discrepancy (Sobol) sequence over the shared parameters.",
        _qmc,
        sorts_parameters=False,
    ),
    Sampler("GP", "A Gaussian process over the shared parameters.", _gp, reads_pruned=False),
    Sampler("CMA-ES", "An evolution strategy over them.", _cma_es, reads_pruned=False),
)


def find_sampler(name: str) -> Sampler:
    """Return the sampler of a name.

    Raises:
        ConfigError: no such sampler.
    """
    return find_named("sampler", name, SAMPLERS)


def make_sampler(name: str, args: Mapping[str, Any], study_seed: int) -> "SeededByTrial":
    """Make a sampler by name.

    Raises:
        ConfigError: an unknown name, or arguments that it does not take.
    """
    find_sampler(name)
    if "seed" in args:
        raise ConfigError("sampler_args must not hold seed: the study's seed decides")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = SeededByTrial(name, args, study_seed)
    try:
        trial = optuna.create_study(sampler=sampler).ask()
        # some look at their arguments only when they sample
        trial.suggest_float("x", 0.0, 1.0)
    except (TypeError, ValueError, ImportError, AttributeError, AssertionError) as error:
        raise ConfigError(f"sampler {name} with {dict(args)}: {error}") from error
    return SeededByTrial(name, args, study_seed)


class SeededByTrial(BaseSampler):
    """Sample each trial with a sampler whose seed follows from the trial's number."""

    def __init__(self, name: str, args: Mapping[str, Any], study_seed: int) -> None:
        self._sorts = find_sampler(name).sorts_parameters
        self._make = find_sampler(name).make
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
        if self._sorts:
            common = {name: common[name] for name in sorted(common, key=_drawn_before)}
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


def _drawn_before(name: str) -> tuple[bool, bool, str]:
    """Return what orders the parameters that all trials have: it decides what a seed draws.

    Those of a family first, the peak rate, then the others by name. No name may move another:
    studies of before must draw as they did.
    """
    return not name[0].isupper(), name != "peak_lr", name
