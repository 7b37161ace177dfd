"""Way: a way of training, as a plain value; and what a study wishes of it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

OWN = "own"
"""The kind of the way in which a trainer of the user's own trains."""


@dataclass(frozen=True)
class EngineWish:
    """How a study asks to be trained; whatever it leaves open is chosen by measuring.

    Args:
        engine: the name of an engine, or "auto" for the fastest.
        stack: how many jobs are trained at once; None: measured.
        threads: number of threads on the CPU; None: measured.

    Raises:
        ValueError: less than one job or one thread.
    """

    engine: str = "auto"
    stack: int | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        for name in ("stack", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} = {value} is less than 1")


@dataclass(frozen=True)
class Way:
    """A way of training: an engine and its settings. It decides the speed and nothing else.

    Args:
        kind: the name of the engine.
        stack: how many jobs are trained at once.
        block: how many jobs of the stack are stepped by one optimizer; None: all of them.
        lanes: how many blocks are trained at the same time, each by a thread of its own.
        threads: intra-op threads on the CPU, of each lane.
        compiled: whether the step of a block is compiled.
        own_batches: True if the jobs have seeds, and so batches, of their own; False if all jobs
            share one seed. A compiled step serves one of the two; other jobs use the uncompiled.
        channels_last: whether images and models are in torch's channels_last memory format.
        alone_threads: intra-op threads of a job that is trained alone beside a stack.
        alone_seconds: measured seconds of a step of such a job; 0.0: only jobs that cannot be
            stacked are trained alone.
        block_seconds: measured seconds of a step of a block in each lane.
        step_seconds: measured seconds of a step of one job, for the jobs that are to be trained;
            0.0: not measured.
        reason: why this way was chosen, in one line.
    """

    kind: str
    stack: int = 1
    block: int | None = None
    lanes: int = 1
    threads: int = 1
    compiled: bool = False
    own_batches: bool = False
    channels_last: bool = False
    alone_threads: int = 1
    alone_seconds: float = 0.0
    block_seconds: float = 0.0
    step_seconds: float = 0.0
    reason: str = ""

    @property
    def size(self) -> int:
        """The number of jobs in a block."""
        return self.block or self.stack

    @property
    def summary(self) -> str:
        """The way in a few words.

        >>> Way("fused", stack=32, compiled=True, threads=2).summary
        'fused, 32 jobs at once, compiled, 2 threads'
        >>> Way("reference").summary
        'reference, 1 thread'
        """
        if self.kind == OWN:
            return "your own trainer" + f", {self.stack} at a time" * (self.stack > 1)
        words = [self.kind]
        words += [f"{self.stack} jobs at once"] * (self.block is not None or self.stack > 1)
        words += ["compiled"] * self.compiled + ["channels last"] * self.channels_last
        threads = self.threads * self.lanes
        return ", ".join([*words, f"{threads} thread{'s' * (threads != 1)}"])

    def describe(self) -> dict[str, Any]:
        """Return the way as plain values, which JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Way":
        """Return the way that `describe` wrote as plain values.

        >>> way = Way("fused", stack=32, block=8, reason="asked for")
        >>> Way.from_dict(way.describe()) == way
        True
        """
        return cls(**{field.name: data[field.name] for field in fields(cls)})
