"""ENGINES: how jobs can be trained. To add an engine, add its record here.

A record's functions import what they need when they are called, so that the names can be listed
without torch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from schedsearch.errors import ConfigError, unknown

if TYPE_CHECKING:
    from schedsearch.training.choice.bench import Bench
    from schedsearch.training.choice.demand import Demand
    from schedsearch.training.choice.prepared import Prepared
    from schedsearch.training.choice.way import Way
    from schedsearch.training.recipe import Recipe

AUTO = "auto"


@dataclass(frozen=True)
class Engine:
    """An entry of ENGINES.

    Args:
        name: the name that a study file uses.
        about: one sentence.
        many: whether the engine trains many jobs at once. It is then given only jobs whose
            schedule moves nothing but the rate, and whose model is not kept.
        why_not: says in one line why a recipe's jobs cannot be trained; None when they can.
        ways: the ways of training that are worth measuring, with no compiler.
        prepare: makes what trains in a way, given the recipe in the way's memory format.
        measure_compiled: adds compiled ways to a bench where they are worth it, after the others
            have been measured; says what went wrong, None when nothing did.
    """

    name: str
    about: str
    many: bool
    why_not: "Callable[[Recipe], str | None]"
    ways: "Callable[[Recipe, Demand], Sequence[Way]]"
    prepare: "Callable[[Way, Recipe], Prepared]"
    measure_compiled: "Callable[[Bench, Demand], str | None]" = lambda bench, demand: None


def _loop_ways(recipe: "Recipe", demand: "Demand") -> "Sequence[Way]":
    from schedsearch.training.choice.loop_ways import loop_ways

    return loop_ways("reference", recipe, demand)


def _prepare_loop(way: "Way", recipe: "Recipe") -> "Prepared":
    from schedsearch.training.choice.prepared import PreparedLoop

    return PreparedLoop(recipe)


def _why_not_fused(recipe: "Recipe") -> str | None:
    from schedsearch.training.fused.refusal import why_not_fused

    return why_not_fused(recipe)


def _fused_ways(recipe: "Recipe", demand: "Demand") -> "Sequence[Way]":
    from schedsearch.training.choice.blocks import fused_ways

    return fused_ways("fused", recipe, demand)


def _prepare_stack(way: "Way", recipe: "Recipe") -> "Prepared":
    from schedsearch.training.fused.prepared import PreparedStack

    return PreparedStack(way, recipe)


def _measure_compiled(bench: "Bench", demand: "Demand") -> str | None:
    from schedsearch.training.choice.blocks import measure_compiled

    return measure_compiled("fused", bench, demand)


# The first trains any job, one at a time: the others are compared with it, and leave to it the jobs
# that they cannot train.
ENGINES: tuple[Engine, ...] = (
    Engine(
        "reference",
        "one job at a time, in a plain torch loop",
        many=False,
        why_not=lambda recipe: None,
        ways=_loop_ways,
        prepare=_prepare_loop,
    ),
    Engine(
        "fused",
        "many jobs at once, as rows of one stack",
        many=True,
        why_not=_why_not_fused,
        ways=_fused_ways,
        prepare=_prepare_stack,
        measure_compiled=_measure_compiled,
    ),
)


def engine_names() -> tuple[str, ...]:
    """Return the names that a study file may use.

    >>> engine_names()
    ('auto', 'reference', 'fused')
    """
    return (AUTO, *(engine.name for engine in ENGINES))


def base_engine() -> Engine:
    """Return the engine that trains any job, one at a time."""
    return ENGINES[0]


def engines_for(name: str) -> tuple[Engine, ...]:
    """Return the engines that a study's choice allows: all of them for "auto", or the named one.

    Raises:
        ConfigError: no such engine.
    """
    return ENGINES if name == AUTO else (find_engine(name),)


def find_engine(name: str) -> Engine:
    """Return the engine of a name.

    Raises:
        ConfigError: no such engine.
    """
    for engine in ENGINES:
        if engine.name == name:
            return engine
    raise ConfigError(unknown("engine", name, engine_names()))
