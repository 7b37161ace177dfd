"""Candidates: the ways of training that a probe measures in turn, on the task's own data."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Literal

import torch

from schedsearch.tasks.task import Task
from schedsearch.training.compiled import compiled_lanes
from schedsearch.training.layout import Layout, Waves
from schedsearch.training.optimizers import OptimizerSpec
from schedsearch.training.stack import Lane, Stack, own_rows, plain_lanes
from schedsearch.training.template import Template

_ROUNDS = 2  # each candidate is measured so often, in turn; the faster time counts
_HOPELESS = 1.5  # times the best so far: not measured any further


@dataclass(frozen=True)
class Candidate:
    """A way of training: `size` runs at once in each lane, each with so many threads."""

    kind: Literal["reference", "fused"]
    size: int
    threads: int
    channels_last: bool = False
    compiled: bool = False
    lanes: int = 1


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
        waves: the runs that will be trained at once, and the steps of each.
        own: whether each run has batches of its own.
        lone: whether a few runs that a block would be too large for may be trained one by one.
    """

    def __init__(
        self,
        task: Task,
        optimizer: OptimizerSpec,
        seconds: float,
        waves: Waves,
        *,
        own: bool = False,
        lone: bool = True,
    ) -> None:
        self._tasks, self._lone = {False: task}, lone
        self._optimizer, self._seconds, self._waves, self._own = optimizer, seconds, waves, own
        self._templates: dict[bool, Template] = {}
        self._steps: dict[Candidate, Callable[[int], None]] = {}
        self.measured: dict[Candidate, float] = {}
        self.lanes: dict[Candidate, list[Lane]] = {}

    def measure(self, candidates: Sequence[Candidate]) -> None:
        """Add the seconds of a step and run of each candidate, the better of two rounds."""
        for _ in range(_ROUNDS):
            for candidate in candidates:
                hopeless = _HOPELESS * min(self.measured.values(), default=float("inf"))
                known = self.measured.get(candidate, float("inf"))
                if candidate in self.measured and known > hopeless:
                    continue
                runs = candidate.size * candidate.lanes
                with threads(candidate.threads):
                    took = self._time(self._step(candidate), hopeless * runs)
                self.measured[candidate] = min(known, took / runs)

    @property
    def best(self) -> Candidate:
        """The one of those that were measured that trains the waves fastest."""
        return min(self.measured, key=self.seconds)

    @property
    def fused(self) -> Candidate:
        """The best of those that train many runs at once."""
        return min((c for c in self.measured if c.kind == "fused"), key=self.seconds)

    def seconds(self, candidate: Candidate) -> float:
        """Give the seconds of a step and run in the waves, on their average."""
        layout, runs = self.layout(candidate), sum(runs * steps for runs, steps in self._waves)
        return sum(steps * layout.seconds(runs) for runs, steps in self._waves) / runs

    def layout(self, candidate: Candidate) -> Layout:
        """Give how a candidate would lay runs out."""
        block_seconds = self.measured[candidate] * candidate.size * candidate.lanes
        lone = candidate.kind == "fused" and self._lone
        alone = self.measured[self.alone(candidate)] if lone else 0.0
        return Layout(candidate.size, candidate.lanes, block_seconds, alone, candidate.compiled)

    @property
    def reference(self) -> Candidate:
        """The fastest that trains one run after the other."""
        return self._fastest(c for c in self.measured if c.kind == "reference")

    def alone(self, candidate: Candidate) -> Candidate:
        """Give the one that trains a few runs one after the other beside a candidate."""
        same = [c for c in self.measured if c.channels_last == candidate.channels_last]
        return self._fastest(c for c in same if c.kind == "reference")

    def _fastest(self, candidates: Iterable[Candidate]) -> Candidate:
        return min(candidates, key=self.measured.__getitem__)

    def compile(self, candidate: Candidate) -> str | None:
        """Compile a candidate and check it; say why it can't be used, None when it can."""
        task = self._task(candidate.channels_last)
        try:
            with threads(candidate.threads):
                lanes, problem = compiled_lanes(
                    task, self._optimizer, candidate.size, candidate.lanes, own=self._own
                )
        except Exception as error:  # whatever a compiler raises: this candidate is not used
            return f"torch.compile failed: {' '.join(str(error).split())[:100]}"
        if problem is None:
            self.lanes[candidate] = lanes
            self._steps[candidate] = self._fused(lanes, candidate.size)
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

    def _step(self, candidate: Candidate) -> Callable[[int], None]:
        if candidate not in self._steps:
            if candidate.kind == "fused":
                task = self._task(candidate.channels_last)
                lanes = plain_lanes(task, candidate.lanes)
                self._steps[candidate] = self._fused(lanes, candidate.size)
            else:
                self._steps[candidate] = self._reference(self._task(candidate.channels_last))
        return self._steps[candidate]

    def _reference(self, task: Task) -> Callable[[int], None]:
        model = task.model(0).train()
        optimizer = self._optimizer.make(model.parameters(), lr=1e-6)
        rows = next(task.batch_indices(0, 1))

        def train(steps: int) -> None:
            for _ in range(steps):
                loss = task.loss(model(task.train.inputs[rows]), task.train.targets[rows])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()

        return train

    def _fused(self, lanes: Sequence[Lane], size: int) -> Callable[[int], None]:
        task, runs = lanes[0].template.task, size * len(lanes)
        stack = Stack(lanes, [0] * runs, self._optimizer, block=size, own=self._own)
        rows = next(task.batch_indices(0, 1))
        if stack.own_batches:
            rows = own_rows(rows, runs)

        def train(steps: int) -> None:
            rates = torch.full((steps, runs, 1), 1e-6, device=task.device, dtype=stack.dtype)
            stack.train([rows] * steps, rates)

        return train

    def _time(self, train: Callable[[int], None], hopeless: float) -> float:
        """Give the seconds of a step; of a step that takes too long, those of that one."""
        device = self._tasks[False].device

        def seconds(steps: int) -> float:
            started = perf_counter()
            train(steps)
            _wait(device)
            return (perf_counter() - started) / steps

        train(1)  # the first one makes the optimizer's state
        first = seconds(1)
        if first > max(hopeless, self._seconds):
            return first
        return seconds(max(3, int(self._seconds / first)))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
