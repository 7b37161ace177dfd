"""Choose an engine by a short measurement on the actual task, model, optimizer and device.

how long would the reference engine take?  little: nothing is worth measuring
measure what needs no compiler, in turn:   formats, threads, runs at once
still long?  compile a block's step:       it is used where it is right, and faster
and another, and its neighbours in size:   while a compile takes less than it may save
"""

from collections.abc import Sequence
from time import perf_counter

import psutil
import torch

from schedsearch.tasks.task import Task
from schedsearch.training.candidates import Bench, Candidate, thread_counts
from schedsearch.training.engine import Engine, EngineName
from schedsearch.training.optimizers import OptimizerSpec
from schedsearch.training.template import Template, why_not_fused

_SHORT = 2.0  # seconds of training that are not worth a probe
_SHARE = 0.01  # of the expected seconds that one measurement may take,
_SECONDS = (0.02, 0.15)  # within these bounds
_COMPILE_WORTH = 25.0  # seconds of training that are worth a first compile of 5 to 15 s
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
    batch: int,
    steps: int,
    compiles: bool = True,
) -> Engine:
    """Choose how to train, by measuring the candidates in turn on a few steps.

    Args:
        task: what is trained.
        optimizer: with which optimizer.
        asked: "reference" or "fused" to leave no choice of the kind.
        stack: how many runs at once, to leave no choice of that.
        thread_count: intra-op threads, to leave no choice of that.
        batch: how many runs are ever asked at once: no stack is larger.
        steps: optimizer steps of all runs that are still to be trained.
        compiles: whether a step may be compiled, which takes longer than all else.

    Returns:
        The engine; its `reason` says what was measured, or why nothing was.
    """
    started = perf_counter()
    counts = [thread_count] if thread_count else thread_counts(task.device)
    plain = Candidate("reference", 1, counts[0])
    bench = Bench(task, optimizer, _SECONDS[0])
    bench.measure([plain])
    expected = steps * bench.measured[plain]
    if asked != "fused" and expected < _SHORT:
        why, took = f"{expected:.1f} s of training", bench.measured[plain]
        return Engine("reference", threads=counts[0], step_seconds=took, reason=why)
    bench = Bench(task, optimizer, min(max(_SHARE * expected, _SECONDS[0]), _SECONDS[1]))

    refusal = None if asked == "reference" else why_not_fused(task, optimizer)
    formats = [False, True] if _takes_formats(bench.template(channels_last=False)) else [False]
    candidates = []
    if asked != "fused" or refusal:
        candidates += [Candidate("reference", 1, n, f) for n in counts for f in formats]
    notes: list[str] = []
    most = limit = 1
    if asked != "reference" and refusal is None:
        limit = most_that_fit(bench.template(channels_last=False))
        most = min(stack or batch, batch, limit)
        sizes = _sizes(most, fixed=stack is not None)
        sizes = sizes or [1] * (asked == "fused")
        candidates += [Candidate("fused", k, n, formats[-1]) for n in counts for k in sizes]
    bench.measure(candidates)
    if compiles and asked != "reference" and refusal is None:
        problem = _compile(bench, steps, most, counts, formats[-1])
        notes += [problem] if problem else []
    best = bench.best
    if refusal is not None:
        notes.append(f"not fused: {refusal}")
    if stack is not None and stack > most and best.kind == "fused":
        why = "memory holds" if most == limit else "this study asks"
        notes.append(f"{why} {most} at once, not {stack}")
    engine = Engine(
        best.kind,
        stack=most if best.kind == "fused" else 1,
        block=best.size if best.kind == "fused" else None,
        compiled=best.compiled,
        channels_last=best.channels_last,
        threads=best.threads,
        alone_threads=_alone(bench, best),
        step_seconds=bench.measured[best],
        reason=_reason(bench, notes, perf_counter() - started),
    )
    if best.compiled:
        engine.adopt(task, bench.compiled[best])
    return engine


def _alone(bench: Bench, best: Candidate) -> int:
    """Give the threads that are best for a run alone."""
    alone = {c: s for c, s in bench.measured.items() if c.kind == "reference"}
    return min(alone, key=lambda c: alone[c]).threads if alone else best.threads


def _takes_formats(template: Template) -> bool:
    return template.has_convolutions and template.task.train.inputs.dim() == 4


def _sizes(most: int, *, fixed: bool) -> list[int]:
    if fixed or most <= 1:
        return [most] * fixed
    return sorted({most, *(k for k in (8, 32) if k < most)})


def _compile(
    bench: Bench, steps: int, most: int, counts: Sequence[int], channels_last: bool
) -> str | None:
    """Compile blocks while the training left is long enough; say what went wrong.

    What a core's cache holds is best for one thread, and several threads want more rows: how many
    differs between machines. So one of each is measured, then the neighbours of the better one.
    """
    template = bench.template(channels_last=channels_last)
    if steps * bench.measured[bench.best] < _COMPILE_WORTH or template.draws:
        return None
    size = 1 if template.task.device.type == "cpu" else most
    while 2 * size <= most and 2 * size * template.run_bytes() <= _CACHE_BYTES:
        size *= 2
    waiting = [(min(most, size * (1 if n == 1 else 2)), n) for n in counts]
    tried: set[tuple[int, int]] = set()
    others = 0.0  # seconds that all but the first took
    while waiting:
        candidate = Candidate("fused", *waiting.pop(0), channels_last, compiled=True)
        tried.add((candidate.size, candidate.threads))
        started = perf_counter()
        problem = bench.compile(candidate)
        if problem is not None:
            return problem
        bench.measure([candidate])
        best, took = bench.best, perf_counter() - started
        others += took * (len(tried) > 1)
        if others + took > _SEARCH_SHARE * steps * bench.measured[best]:
            return None
        if not waiting and best.compiled and template.task.device.type == "cpu":
            beside = [best.size // 2, min(2 * best.size, most)][:: 1 if best.threads == 1 else -1]
            found = ((k, best.threads) for k in beside if k and len(tried) < _MOST_COMPILED)
            waiting = [each for each in found if each not in tried]
    return None


def _reason(bench: Bench, notes: list[str], seconds: float) -> str:
    """Say what was measured, and what stood in the way."""
    best = bench.best
    parts = [f"{bench.measured[best] * 1e3:.3g} ms a step and run"]
    plain = min((s for c, s in bench.measured.items() if c.kind == "reference"), default=None)
    if best.kind == "fused" and plain is not None:
        parts.append(f"{plain / bench.measured[best]:.1f} times the reference engine's speed")
    return f"{'; '.join([*parts, *notes])} (probed in {seconds:.1f} s)"
