"""Choose a way of training by a short measurement on the actual task, model, optimizer and device.

how long would the base engine take?       little: nothing is worth measuring
measure what needs no compiler, in turn:   formats, threads, jobs at once
still long?  compile a block's step:       it is used where it is right, and faster
and another, and its neighbours in size:   while a compile takes less than it may save
"""

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter

from schedsearch.training.choice.bench import Bench
from schedsearch.training.choice.block_cost import Waves
from schedsearch.training.choice.demand import Demand, demand_of
from schedsearch.training.choice.prepared import Prepared
from schedsearch.training.choice.trainer import Trainer
from schedsearch.training.choice.way import EngineWish, Way
from schedsearch.training.engines import AUTO, Engine, base_engine, engines_for, find_engine
from schedsearch.training.recipe import Recipe

_SHORT = 2.0  # seconds of training that are not worth a probe
_SHARE = 0.01  # of the expected seconds that one measurement may take,
_SECONDS = (0.02, 0.15)  # within these bounds


def choose_trainer(
    recipe: Recipe,
    wish: EngineWish,
    *,
    waves: Waves,
    steps: int,
    own: bool = False,
    compiles: bool = True,
) -> Trainer:
    """Choose how to train, by measuring the ways of training in turn on a few steps.

    Args:
        recipe: how jobs are trained.
        wish: what the study asks for: an engine, a stack, a number of threads.
        waves: jobs that are trained together, and steps of each job, for each rung. No stack is
            larger than the largest wave.
        steps: optimizer steps, of all jobs, that are still to be trained.
        own: whether each job has a seed, and so weights and batches, of its own.
        compiles: whether a step may be compiled, which takes longer than all else.

    Returns:
        A trainer; the `reason` of its way says what was measured, or why nothing was.

    Raises:
        ConfigError: an engine that there is not.
    """
    started = perf_counter()
    demand = demand_of(wish, recipe.task.device, waves, steps, own=own, compiles=compiles)
    first, expected = _expected(recipe, demand)
    if wish.engine in (AUTO, base_engine().name) and expected < _SHORT:
        return Trainer(replace(first, reason=f"{expected:.1f} s of training"), recipe)
    engines, wanted, notes = _engines(recipe, wish)
    bench = _bench(recipe, demand, min(max(_SHARE * expected, _SECONDS[0]), _SECONDS[1]), wish)
    bench.measure([way for engine in engines for way in engine.ways(recipe, demand)])
    if demand.compiles:
        problems = [engine.measure_compiled(bench, demand) for engine in engines]
        notes = [*filter(None, problems), *notes]
    best = bench.best(wanted)
    reason = _reason(bench, best, notes, perf_counter() - started)
    return Trainer(replace(bench.priced(best), reason=reason), recipe, bench.prepared[best])


def _expected(recipe: Recipe, demand: Demand) -> tuple[Way, float]:
    """Return the base engine's way with the fewest threads, and the seconds that it would take."""
    bench = _bench(recipe, demand, _SECONDS[0], EngineWish())
    way = Way(base_engine().name, threads=demand.threads[0])
    bench.measure([way])
    took = bench.measured[way]
    return replace(way, step_seconds=took), demand.steps * took


def _engines(recipe: Recipe, wish: EngineWish) -> tuple[list[Engine], list[str], list[str]]:
    """Return the engines to measure, the names to choose from, and why others are left out.

    The base engine is always measured: the others are compared with it, and it trains the jobs
    that they cannot train.
    """
    base = base_engine()
    asked = engines_for(wish.engine)
    refusals = {engine.name: engine.why_not(recipe) for engine in asked}
    fit = [engine for engine in asked if refusals[engine.name] is None]
    notes = [f"not {name}: {why}" for name, why in refusals.items() if why is not None]
    others = [engine for engine in fit if engine is not base]
    return [base, *others], [engine.name for engine in fit] or [base.name], notes


def _bench(recipe: Recipe, demand: Demand, seconds: float, wish: EngineWish) -> Bench:
    base = base_engine().name
    leftovers = wish.engine in (AUTO, base)
    return Bench(
        recipe, _prepare, base=base, seconds=seconds, waves=demand.waves, leftovers=leftovers
    )


def _prepare(way: Way, recipe: Recipe) -> Prepared:
    return find_engine(way.kind).prepare(way, recipe)


def _reason(bench: Bench, best: Way, notes: Sequence[str], seconds: float) -> str:
    """Return what was measured, and why some ways were not."""
    base, took = base_engine().name, bench.seconds(best)
    parts = [f"{took * 1e3:.3g} ms a step and job"]
    if best.kind != base:
        times = bench.measured[bench.fastest_loop()] / took
        parts.append(f"{times:.1f} times the {base} engine's speed")
    if best.reason:
        notes = [*notes, best.reason]
    return f"{'; '.join([*parts, *notes])} (probed in {seconds:.1f} s)"
