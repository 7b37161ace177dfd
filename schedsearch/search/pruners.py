"""Optuna's pruners by name; their resource is the optimizer steps that a trial has done."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import optuna
from optuna.pruners import BasePruner, NopPruner

from schedsearch.errors import ConfigError, unknown


def pruner_names() -> list[str]:
    """Return the names that a study file can give."""
    return ["none", *(name for name in optuna.pruners.__all__ if name != "BasePruner")]


def make_pruner(name: str, args: Mapping[str, Any]) -> BasePruner:
    """Make a pruner by name; "none" never prunes.

    Raises:
        ConfigError: an unknown name, or arguments that it does not take.

    >>> type(make_pruner("MedianPruner", {"n_startup_trials": 3})).__name__
    'MedianPruner'
    """
    if name == "none":
        return NopPruner()
    if name not in pruner_names():
        raise ConfigError(unknown("pruner", name, pruner_names()))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            make: Callable[..., BasePruner] = getattr(optuna.pruners, name)
            _try(make(**args))  # some look at their arguments only when they are asked
            return make(**args)
    except (TypeError, ValueError, AttributeError, AssertionError) as error:
        raise ConfigError(f"pruner {name} with {dict(args)}: {error}") from error


def _try(pruner: BasePruner) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    trial = optuna.create_study(pruner=pruner).ask()
    trial.report(1.0, step=1)
    trial.should_prune()
