"""Choose an engine by a short measurement on the actual task, model, optimizer and device."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter

import psutil
import torch

from schedsearch.tasks.task import Task, seeded
from schedsearch.training.engine import Engine, EngineName
from schedsearch.training.optimizers import OptimizerSpec
from schedsearch.training.stack import Stack, Template, why_not_fused

_ROUNDS = 2  # each candidate is measured so often, in turn; the faster time counts
_SECONDS = 0.15  # of one measurement
_HOPELESS = 1.5  # times the best so far: not measured any further
_MEMORY_SHARE = 0.5  # of what is free, at the most


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Use so many intra-op threads on the CPU; 0 leaves torch's own choice."""
    before = torch.get_num_threads()
    if count:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def most_that_fit(task: Task, optimizer: OptimizerSpec) -> int:
    """Give how many runs fit into half of the free memory, by a count of what one run holds.

    Parameters, gradients, the copy before a step and three states of the optimizer; and twice the
    activations that the gradient of one batch saves.
    """
    model = task.model(0).train()
    saved = 0

    def count(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal saved
        saved += tensor.numel() * tensor.element_size()
        return tensor

    with (
        seeded(0, task.device),
        torch.autograd.graph.saved_tensors_hooks(count, lambda t: t),
    ):
        batch = slice(0, task.batch_size)
        task.loss(model(task.train.inputs[batch]), task.train.targets[batch])
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    if task.device.type == "cuda":
        free = torch.cuda.mem_get_info(task.device)[0]
    else:
        free = psutil.virtual_memory().available
    return max(1, int(free * _MEMORY_SHARE / (6 * weights + 2 * saved)))


def choose_engine(
    task: Task,
    optimizer: OptimizerSpec,
    *,
    asked: EngineName = "auto",
    stack: int | None = None,
    thread_count: int | None = None,
    batch: int,
) -> Engine:
    """Choose how to train, by measuring the candidates in turn on a few steps.

    Args:
        task: what is trained.
        optimizer: with which optimizer.
        asked: "reference" or "fused" to leave no choice of the kind.
        stack: how many runs at once, to leave no choice of that.
        thread_count: intra-op threads, to leave no choice of that.
        batch: how many runs are ever asked at once.

    Returns:
        The engine; its `reason` says what was measured, or why nothing was.
    """
    refusal = None if asked == "reference" else why_not_fused(task, optimizer)
    counts = [thread_count] if thread_count else _thread_counts(task)
    if asked == "reference" and len(counts) == 1:
        return Engine("reference", threads=counts[0], reason="asked for")
    limit = 1 if asked == "reference" or refusal else most_that_fit(task, optimizer)
    stacks = [] if limit == 1 else _stacks(min(stack or batch, limit), fixed=stack is not None)
    if asked == "fused" and not stacks:
        stacks = [1] if refusal is None else []
    candidates = [("reference", 1, n) for n in counts] if asked != "fused" or refusal else []
    candidates += [("fused", k, n) for n in counts for k in stacks]
    started = perf_counter()
    measured = _measure(task, optimizer, candidates)
    seconds = perf_counter() - started
    kind, size, count = min(measured, key=lambda candidate: measured[candidate])
    return Engine(
        "fused" if kind == "fused" else "reference",
        stack=size,
        threads=count,
        reason=_reason(measured, (kind, size, count), refusal, seconds, stack, limit),
    )


Candidate = tuple[str, int, int]


def _thread_counts(task: Task) -> list[int]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return [1] if task.device.type != "cpu" or not cores or cores == 1 else [1, cores]


def _stacks(most: int, *, fixed: bool) -> list[int]:
    if fixed:
        return [most]
    return sorted({most, *(k for k in (8, 16, 32, 64) if k < most)})


def _measure(
    task: Task, optimizer: OptimizerSpec, candidates: Sequence[Candidate]
) -> dict[Candidate, float]:
    """Give the seconds of a step and run of each candidate, the better of two rounds."""
    template = Template(task) if any(kind == "fused" for kind, _, _ in candidates) else None
    steppers: dict[tuple[str, int], Callable[[], None]] = {}
    for kind, size, _ in candidates:
        if (kind, size) not in steppers:
            if kind == "fused" and template is not None:
                steppers[kind, size] = _fused_step(template, optimizer, size)
            else:
                steppers[kind, size] = _reference_step(task, optimizer)
    best: dict[Candidate, float] = {}
    for _ in range(_ROUNDS):
        for kind, size, count in candidates:
            hopeless = _HOPELESS * min(best.values(), default=float("inf"))
            if best.get((kind, size, count), 0.0) > hopeless:
                continue
            with threads(count):
                took = _time(steppers[kind, size], task.device, hopeless * size) / size
            best[kind, size, count] = min(took, best.get((kind, size, count), took))
    return best


def _time(step: Callable[[], None], device: torch.device, hopeless: float) -> float:
    """Give the seconds of a step; of a step that takes too long, those of that one."""
    started = perf_counter()
    step()
    _wait(device)
    first = perf_counter() - started
    if first > max(hopeless, _SECONDS):
        return first
    steps, started = 0, perf_counter()
    while steps < 3 or perf_counter() - started < _SECONDS:
        step()
        steps += 1
    _wait(device)
    return (perf_counter() - started) / steps


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _reference_step(task: Task, optimizer: OptimizerSpec) -> Callable[[], None]:
    model = task.model(0).train()
    optim = optimizer.make(model.parameters(), lr=1e-6)
    inputs, targets = (t[: task.batch_size] for t in (task.train.inputs, task.train.targets))

    def step() -> None:
        loss = task.loss(model(inputs), targets)
        optim.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optim.step()

    return step


def _fused_step(template: Template, optimizer: OptimizerSpec, size: int) -> Callable[[], None]:
    task = template.task
    stack = Stack(template, [0] * size, optimizer)
    rates = torch.full((size, 1), 1e-6, device=task.device, dtype=stack.params.dtype)
    inputs, targets = (t[: task.batch_size] for t in (task.train.inputs, task.train.targets))
    return lambda: (stack.step(inputs, targets, rates), None)[1]


def _reason(
    measured: dict[Candidate, float],
    chosen: Candidate,
    refusal: str | None,
    seconds: float,
    asked_stack: int | None,
    limit: int,
) -> str:
    """Say what was measured, and what stood in the way."""
    kind, size, _ = chosen
    plain = min((s for (k, _, _), s in measured.items() if k == "reference"), default=None)
    parts = [f"{measured[chosen] * 1e3:.3g} ms a step and run"]
    if kind == "fused" and plain is not None:
        parts.append(f"{plain / measured[chosen]:.1f} times the reference's speed")
    if refusal is not None:
        parts.append(f"not fused: {refusal}")
    if asked_stack is not None and asked_stack > size and kind == "fused":
        parts.append(f"memory holds {limit} at once, not {asked_stack}")
    return f"{'; '.join(parts)} (probed in {seconds:.1f} s)"
