"""Candidates: the ways of training that a probe measures in turn, on the task's own data."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Literal

import torch

from schedsearch.tasks.task import Task
from schedsearch.training.compiled import CompiledStep
from schedsearch.training.optimizers import OptimizerSpec
from schedsearch.training.stack import Block
from schedsearch.training.template import Template

_ROUNDS = 2  # each candidate is measured so often, in turn; the faster time counts
_HOPELESS = 1.5  # times the best so far: not measured any further


@dataclass(frozen=True)
class Candidate:
    """A way of training: `size` runs at once, with so many threads, in a memory format."""

    kind: Literal["reference", "fused"]
    size: int
    threads: int
    channels_last: bool = False
    compiled: bool = False

    def describe(self) -> str:
        """Name it in a few words."""
        words = [self.kind if self.size == 1 else f"{self.kind} x{self.size}"]
        words += ["compiled"] * self.compiled + ["channels last"] * self.channels_last
        return ", ".join(words)


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


def thread_counts(device: torch.device) -> list[int]:
    """Give the numbers of intra-op threads worth trying on a device: one, and all cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return [1] if device.type != "cpu" or not cores or cores == 1 else [1, cores]


class Bench:
    """Measures candidates on one task; what they share is made once.

    Args:
        task: what is trained.
        optimizer: with which optimizer.
        seconds: of one measurement.
    """

    def __init__(self, task: Task, optimizer: OptimizerSpec, seconds: float) -> None:
        self._tasks = {False: task}
        self._optimizer, self._seconds = optimizer, seconds
        self._templates: dict[bool, Template] = {}
        self._steps: dict[Candidate, Callable[[], None]] = {}
        self.measured: dict[Candidate, float] = {}
        self.compiled: dict[Candidate, CompiledStep] = {}

    def measure(self, candidates: Sequence[Candidate]) -> None:
        """Add the seconds of a step and run of each candidate, the better of two rounds."""
        for _ in range(_ROUNDS):
            for candidate in candidates:
                hopeless = _HOPELESS * min(self.measured.values(), default=float("inf"))
                known = self.measured.get(candidate, float("inf"))
                if candidate in self.measured and known > hopeless:
                    continue
                with threads(candidate.threads):
                    took = self._time(self._step(candidate), hopeless * candidate.size)
                self.measured[candidate] = min(known, took / candidate.size)

    @property
    def best(self) -> Candidate:
        """The fastest of those that were measured."""
        return min(self.measured, key=lambda candidate: self.measured[candidate])

    def compile(self, candidate: Candidate) -> str | None:
        """Compile a candidate and check it; say why it can't be used, None when it can."""
        template = self.template(channels_last=candidate.channels_last)
        step = CompiledStep(template, self._optimizer, candidate.size)
        try:
            with threads(candidate.threads):
                problem = step.differs()
        except Exception as error:  # whatever a compiler raises: this candidate is not used
            return f"torch.compile failed: {' '.join(str(error).split())[:100]}"
        if problem is None:
            self.compiled[candidate] = step
            self._steps[candidate] = self._fused(template, candidate.size, step)
        return problem

    def template(self, *, channels_last: bool) -> Template:
        """Give the task's template in a memory format."""
        if channels_last not in self._templates:
            self._templates[channels_last] = Template(self._task(channels_last))
        return self._templates[channels_last]

    def _task(self, channels_last: bool) -> Task:
        if channels_last not in self._tasks:
            self._tasks[True] = self._tasks[False].channels_last()
        return self._tasks[channels_last]

    def _step(self, candidate: Candidate) -> Callable[[], None]:
        if candidate not in self._steps:
            if candidate.kind == "fused":
                template = self.template(channels_last=candidate.channels_last)
                self._steps[candidate] = self._fused(template, candidate.size, Block.step)
            else:
                self._steps[candidate] = self._reference(self._task(candidate.channels_last))
        return self._steps[candidate]

    def _reference(self, task: Task) -> Callable[[], None]:
        model = task.model(0).train()
        optimizer = self._optimizer.make(model.parameters(), lr=1e-6)
        rows = next(task.batch_indices(0, 1))

        def step() -> None:
            loss = task.loss(model(task.train.inputs[rows]), task.train.targets[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()

        return step

    def _fused(
        self, template: Template, size: int, stepper: Callable[..., object]
    ) -> Callable[[], None]:
        task = template.task
        weights = template.weights(0).expand(size, -1).clone()
        block = Block(template.gradients(), weights, self._optimizer)
        rates = torch.full((size, 1), 1e-6, device=task.device, dtype=block.dtype)
        rows = next(task.batch_indices(0, 1))

        def step() -> None:
            stepper(block, task.train.inputs[rows], task.train.targets[rows], rates)

        return step

    def _time(self, step: Callable[[], None], hopeless: float) -> float:
        """Give the seconds of a step; of a step that takes too long, those of that one."""
        device = self._tasks[False].device
        step()  # the first one makes the optimizer's state
        started = perf_counter()
        step()
        _wait(device)
        first = perf_counter() - started
        if first > max(hopeless, self._seconds):
            return first
        steps, started = 0, perf_counter()
        while steps < 3 or perf_counter() - started < self._seconds:
            step()
            steps += 1
        _wait(device)
        return (perf_counter() - started) / steps


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
