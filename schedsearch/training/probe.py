"""Choose an engine by a short measurement on the actual task, model, optimizer and device.

how long would the reference engine take?  little: nothing is worth measuring
measure what needs no compiler, in turn:   formats, threads, runs at once
still long?  compile a block's step:       it is used where it is right, and faster
and another, and its neighbours in size:   while a compile takes less than it may save
"""

from collections.abc import Iterator, Sequence
from time import perf_counter

import psutil
import torch

from schedsearch.tasks.task import Task
from schedsearch.training.candidates import Bench, Candidate, thread_counts
from schedsearch.training.engine import Engine, EngineName
from schedsearch.training.layout import Waves, start_size
from schedsearch.training.optimizers import OptimizerSpec
from schedsearch.training.template import Template, why_not_fused

_SHORT = 2.0  # seconds of training that are not worth a probe
_SHARE = 0.01  # of the expected seconds that one measurement may take,
_SECONDS = (0.02, 0.15)  # within these bounds
_COMPILE_WORTH = 25.0  # seconds of training that are worth a first compile of 5 to 15 s
_LANE_SHARE = 0.05  # of that for each more lane, whose step is traced anew
_SEARCH_SHARE = 0.15  # of the training left that compiling other blocks may take
_MOST_COMPILED = 5  # blocks
_MEMORY_SHARE = 0.5  # of what is free, at the most
_CACHE_BYTES = 24e6  # a compiled block should take no more: it is read and written at each step


def most_that_fit(template: Template) -> int:
    """Give how many runs fit into half of the free memory."""
    device = template.task.device
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
    else:
        free = psutil.virtual_memory().available
    return max(1, int(free * _MEMORY_SHARE / template.run_bytes()))


def choose_engine(
    task: Task,
    optimizer: OptimizerSpec,
    *,
    asked: EngineName = "auto",
    stack: int | None = None,
    thread_count: int | None = None,
    waves: Waves,
    steps: int,
    own: bool = False,
    compiles: bool = True,
) -> Engine:
    """Choose how to train, by measuring the candidates in turn on a few steps.

    Args:
        task: what is trained.
        optimizer: with which optimizer.
        asked: "reference" or "fused" to leave no choice of the kind.
        stack: how many runs at once, to leave no choice of that.
        thread_count: threads on the CPU, to leave no choice of that.
        waves: the runs that are trained at once, and for how many steps: one for each rung. No
            stack is larger than the largest.
        steps: optimizer steps of all runs that are still to be trained.
        own: whether each run has a seed, and so weights and batches, of its own.
        compiles: whether a step may be compiled, which takes longer than all else.

    Returns:
        The engine; its `reason` says what was measured, or why nothing was.
    """
    started = perf_counter()
    counts = [thread_count] if thread_count else thread_counts(task.device)
    cores = max(counts) if task.device.type == "cpu" else 1
    plain = Candidate("reference", 1, counts[0])
    bench = Bench(task, optimizer, _SECONDS[0], waves, own=own)
    bench.measure([plain])
    expected = steps * bench.measured[plain]
    if asked != "fused" and expected < _SHORT:
        why, took = f"{expected:.1f} s of training", bench.measured[plain]
        return Engine("reference", threads=counts[0], step_seconds=took, reason=why)
    seconds = min(max(_SHARE * expected, _SECONDS[0]), _SECONDS[1])
    bench = Bench(task, optimizer, seconds, waves, own=own, lone=asked != "fused")

    refusal = None if asked == "reference" else why_not_fused(task, optimizer)
    formats = [False, True] if _takes_formats(bench.template(channels_last=False)) else [False]
    candidates = [Candidate("reference", 1, n, f) for n in counts for f in formats]
    notes: list[str] = []
    most = limit = 1
    if asked != "reference" and refusal is None:
        limit = most_that_fit(bench.template(channels_last=False))
        asked_at_once = max(runs for runs, _ in waves)
        most = min(stack or asked_at_once, asked_at_once, limit)
        in_lanes = cores > 1 and not bench.template(channels_last=False).draws
        fixed = stack is not None
        for size, lanes, n in _blocks(most, counts, in_lanes=in_lanes, fixed=fixed):
            candidates.append(Candidate("fused", size, n, formats[-1], lanes=lanes))
    bench.measure(candidates)
    if compiles and asked != "reference" and refusal is None:
        problem = _compile(bench, steps, most, cores, waves, formats[-1])
        notes += [problem] if problem else []
    best = bench.fused if asked == "fused" and refusal is None else bench.best
    if refusal is not None:
        notes.append(f"not fused: {refusal}")
    if stack is not None and stack > most and best.kind == "fused":
        why = "memory holds" if most == limit else "this study asks"
        notes.append(f"{why} {most} at once, not {stack}")
    layout = bench.layout(best)
    engine = Engine(
        best.kind,
        stack=most if best.kind == "fused" else 1,
        block=best.size if best.kind == "fused" else None,
        compiled=best.compiled,
        own_batches=own,
        channels_last=best.channels_last,
        threads=best.threads,
        lanes=best.lanes,
        alone_threads=bench.alone(best).threads,
        alone_seconds=layout.alone_seconds,
        block_seconds=layout.block_seconds,
        step_seconds=bench.seconds(best),
        reason=_reason(bench, best, notes, perf_counter() - started),
    )
    if best.compiled:
        engine.adopt(task, optimizer, bench.lanes[best])
    return engine


def _takes_formats(template: Template) -> bool:
    return template.has_convolutions and template.task.train.inputs.dim() == 4


def _lanes(size: int, most: int, cores: int) -> int:
    """Give how many blocks of a size are trained at the same time."""
    return max(1, min(cores, most // size))


def _blocks(
    most: int, counts: Sequence[int], *, in_lanes: bool, fixed: bool
) -> Iterator[tuple[int, int, int]]:
    """Yield the blocks, not compiled, that are worth measuring: rows, lanes, threads of each."""
    cores = max(counts)
    largest = max(1, most // cores) if in_lanes else most
    free = {largest, most, *(k for k in (1, 8, 32) if k < most)}
    for size in sorted({largest} if fixed else free):
        if in_lanes:
            lanes = _lanes(size, most, cores)
            yield size, lanes, cores // lanes
        else:
            yield from ((size, 1, n) for n in counts)


def _compile(
    bench: Bench,
    steps: int,
    most: int,
    cores: int,
    waves: Waves,
    channels_last: bool,
) -> str | None:
    """Compile blocks while the training left is long enough; say what went wrong.

    One is guessed, and then the neighbours of the best: which it is differs between machines.
    """
    template = bench.template(channels_last=channels_last)
    on_cpu = template.task.device.type == "cpu"
    worth = _COMPILE_WORTH * (1 + _LANE_SHARE * (cores - 1))
    if steps * bench.seconds(bench.best) < worth or template.draws:
        return None
    cached = max(1, int(_CACHE_BYTES / cores / template.run_bytes())) if on_cpu else most
    waiting = [start_size(waves, cores, min(cached, most)) if on_cpu else most]
    tried: set[int] = set()
    others = 0.0  # seconds that all but the first took
    while waiting:
        size = waiting.pop(0)
        tried.add(size)
        lanes = _lanes(size, most, cores)
        each = cores // lanes
        candidate = Candidate("fused", size, each, channels_last, compiled=True, lanes=lanes)
        started = perf_counter()
        problem = bench.compile(candidate)
        if problem is not None:
            return problem
        bench.measure([candidate])
        best, took = bench.best, perf_counter() - started
        others += took * (len(tried) > 1)
        if others + took > _SEARCH_SHARE * steps * bench.seconds(best):
            return None
        if not waiting and best.compiled and on_cpu and len(tried) < _MOST_COMPILED:
            beside = (best.size // 2, 2 * best.size)
            waiting = [k for k in beside if 1 <= k <= most and k not in tried]
    return None


def _reason(bench: Bench, best: Candidate, notes: list[str], seconds: float) -> str:
    """Say what was measured, and what stood in the way."""
    parts = [f"{bench.seconds(best) * 1e3:.3g} ms a step and run"]
    if best.kind == "fused":
        times = bench.measured[bench.reference] / bench.seconds(best)
        parts.append(f"{times:.1f} times the reference engine's speed")
    return f"{'; '.join([*parts, *notes])} (probed in {seconds:.1f} s)"
