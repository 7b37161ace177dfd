"""The ways of the fused engine that are worth measuring: blocks of several sizes, also compiled."""

from collections.abc import Iterator
from dataclasses import replace
from time import perf_counter

from schedsearch.tasks.evaluate import free_bytes
from schedsearch.training.choice.bench import Bench
from schedsearch.training.choice.block_cost import first_block_size
from schedsearch.training.choice.demand import Demand
from schedsearch.training.choice.loop_ways import takes_channels_last
from schedsearch.training.choice.way import Way
from schedsearch.training.device import threads
from schedsearch.training.fused.flat_model import Template
from schedsearch.training.fused.prepared import PreparedStack
from schedsearch.training.recipe import Recipe

_COMPILE_WORTH = 25.0  # seconds of training that are worth a first compile of 5 to 15 s
_LANE_SHARE = 0.05  # of _COMPILE_WORTH, for each further lane, whose step is traced anew
_SEARCH_SHARE = 0.15  # of the training left that compiling other blocks may take
_MOST_COMPILED = 5  # blocks
_MEMORY_SHARE = 0.5  # of the free memory, at the most
_CACHE_BYTES = 24e6  # a compiled block should take no more: it is read and written at each step


def most_that_fit(template: Template) -> int:
    """Return how many jobs fit into half of the free memory."""
    free = free_bytes(template.task.device)
    return max(1, int(free * _MEMORY_SHARE / template.job_bytes()))


def fused_ways(kind: str, recipe: Recipe, demand: Demand) -> list[Way]:
    """Return a way for each block worth measuring; where the stack is reduced, it says why."""
    task = recipe.trained_task
    template = Template(recipe)
    limit = most_that_fit(template)
    most = min(demand.stack or demand.at_once, demand.at_once, limit)
    reason = ""
    if demand.stack is not None and demand.stack > most:
        why = "memory holds" if most == limit else "this study asks"
        reason = f"{why} {most} at once, not {demand.stack}"
    like = Way(
        kind,
        stack=most,
        own_batches=demand.own,
        channels_last=takes_channels_last(task),
        reason=reason,
    )
    in_lanes = demand.cores > 1 and not template.draws
    return [
        replace(like, block=size, lanes=lanes, threads=count)
        for size, lanes, count in _blocks(most, demand, in_lanes=in_lanes)
    ]


def _blocks(most: int, demand: Demand, *, in_lanes: bool) -> Iterator[tuple[int, int, int]]:
    """Yield the uncompiled blocks that are worth measuring: rows, lanes, threads of each lane."""
    cores = demand.cores
    largest = max(1, most // cores) if in_lanes else most
    free = {largest, most, *(size for size in (1, 8, 32) if size < most)}
    for size in sorted(free if demand.stack is None else {largest}):
        if in_lanes:
            lanes = _lanes(size, most, cores)
            yield size, lanes, cores // lanes
        else:
            yield from ((size, 1, count) for count in demand.threads)


def _lanes(size: int, most: int, cores: int) -> int:
    """Return how many blocks of a size are trained at the same time."""
    return max(1, min(cores, most // size))


def measure_compiled(kind: str, bench: Bench, demand: Demand) -> str | None:
    """Compile and measure blocks while the training left is long enough.

    The first size is a guess; then follow the neighbours of the best, which differs between
    machines.

    Args:
        kind: the name of the engine.
        bench: where uncompiled blocks have been measured.
        demand: what is to be trained.

    Returns:
        What went wrong, in one line; None when nothing did.
    """
    like = bench.best([kind])
    template = Template(bench.recipe(channels_last=like.channels_last))
    worth = _COMPILE_WORTH * (1 + _LANE_SHARE * (demand.cores - 1))
    if demand.steps * bench.seconds(bench.best()) < worth or template.draws:
        return None
    on_cpu = template.task.device.type == "cpu"
    waiting, tried = [_first_size(template, like.stack, demand)], list[int]()
    others = 0.0  # seconds of all compiles except the first
    while waiting:
        way = _compiled(like, waiting.pop(0), demand)
        tried.append(way.size)
        started = perf_counter()
        problem = add_compiled(bench, way)
        if problem is not None:
            return problem
        bench.measure([way])
        best, took = bench.best(), perf_counter() - started
        others += took * (len(tried) > 1)
        if others + took > _SEARCH_SHARE * demand.steps * bench.seconds(best):
            return None
        if not waiting and best.compiled and on_cpu and len(tried) < _MOST_COMPILED:
            beside = (best.size // 2, 2 * best.size)
            waiting = [size for size in beside if 1 <= size <= like.stack and size not in tried]
    return None


def _first_size(template: Template, most: int, demand: Demand) -> int:
    """Return the size of the first block to compile."""
    if template.task.device.type != "cpu":
        return most
    cached = max(1, int(_CACHE_BYTES / demand.cores / template.job_bytes()))
    return first_block_size(demand.waves, demand.cores, min(cached, most))


def _compiled(like: Way, size: int, demand: Demand) -> Way:
    lanes = _lanes(size, like.stack, demand.cores)
    each = demand.cores // lanes
    return replace(like, block=size, lanes=lanes, threads=each, compiled=True)


def add_compiled(bench: Bench, way: Way) -> str | None:
    """Compile the step of a way, check it, and add the way to a bench; return what went wrong."""
    prepared = PreparedStack(way, bench.recipe(channels_last=way.channels_last))
    try:
        with threads(way.threads):
            problem = prepared.compile()
    except Exception as error:  # whatever a compiler raises: this way is not used
        return f"torch.compile failed: {' '.join(str(error).split())[:100]}"
    if problem is None:
        bench.adopt(way, prepared)
    return problem
