"""Engine: how runs are trained, chosen by measuring; it decides the speed and nothing else."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Literal, TypeAlias

from schedsearch.schedules import Schedule
from schedsearch.tasks.task import Task
from schedsearch.training.candidates import threads
from schedsearch.training.compiled import compiled_lanes
from schedsearch.training.curve import Curve
from schedsearch.training.fused import train_fused
from schedsearch.training.layout import Layout
from schedsearch.training.optimizers import OptimizerSpec
from schedsearch.training.rates import moves_more_than_the_rate
from schedsearch.training.reference import DIVERGE_FACTOR, OnEnd, OnEval, train
from schedsearch.training.stack import Lane, plain_lanes

EngineName: TypeAlias = Literal["auto", "reference", "fused"]


@dataclass(frozen=True)
class Engine:
    """A way of training, with the reference engine's signature and results.

    Args:
        kind: one run at a time, or many at once.
        stack: how many at once.
        block: rows of a block of the stack; None: the stack is one block.
        compiled: whether a block's step is compiled.
        own_batches: whether that is for runs with batches of their own, or that share them; others
            are trained by steps as they are.
        channels_last: whether images and models are in that memory format.
        threads: intra-op threads on the CPU, of each lane.
        lanes: how many blocks are trained at the same time, each by a thread of its own.
        alone_threads: the threads of a run that is trained alone, of a fused engine.
        alone_seconds: what a step of such a run took; 0.0: runs that can be fused never are.
        block_seconds: what a step of a block took; a few runs may be faster alone.
        step_seconds: what a step of one run took when it was measured; 0.0: it was not.
        reason: why it was chosen, in one line.
    """

    kind: Literal["reference", "fused"]
    stack: int = 1
    block: int | None = None
    compiled: bool = False
    own_batches: bool = False
    channels_last: bool = False
    threads: int = 1
    lanes: int = 1
    alone_threads: int = 1
    alone_seconds: float = 0.0
    block_seconds: float = 0.0
    step_seconds: float = 0.0
    reason: str = ""
    _prepared: dict[int, "_Prepared"] = field(default_factory=dict, repr=False, compare=False)

    def describe(self) -> dict[str, Any]:
        """Return the choice as plain values."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.compare}

    @property
    def summary(self) -> str:
        """The choice in a few words.

        >>> Engine("fused", stack=32, compiled=True, threads=2).summary
        'fused, 32 runs at once, compiled, 2 threads'
        """
        words: list[str] = [self.kind]
        words += [f"{self.stack} runs at once"] * (self.kind == "fused")
        words += ["compiled"] * self.compiled + ["channels last"] * self.channels_last
        threads = self.threads * self.lanes
        return ", ".join([*words, f"{threads} thread{'s' * (threads != 1)}"])

    @property
    def threads_of_one(self) -> int:
        """The threads of a run that is trained alone."""
        return self.threads if self.kind == "reference" else self.alone_threads

    def train(
        self,
        task: Task,
        schedules: Sequence[Schedule],
        *,
        total_steps: int,
        seed: int | Sequence[int],
        eval_steps: Sequence[int],
        optimizer: OptimizerSpec,
        on_eval: OnEval | None = None,
        on_end: OnEnd | None = None,
        diverge_factor: float = DIVERGE_FACTOR,
    ) -> list[Curve]:
        """Train a model for each schedule; arguments and result as in `train`.

        Schedules that move more than the rate (the momentum) are trained one at a time.
        """
        seeds = [seed] * len(schedules) if isinstance(seed, int) else list(seed)
        alone = self._alone(schedules)
        curves: dict[int, Curve] = {}
        prepared = self._prepare(task)
        for fused, part in ((True, _without(alone, len(schedules))), (False, alone)):
            if not part:
                continue
            common: dict[str, Any] = {
                "total_steps": total_steps,
                "seed": [seeds[i] for i in part],
                "eval_steps": eval_steps,
                "optimizer": optimizer,
                "on_eval": _moved(on_eval, part),
                "on_end": _moved(on_end, part),
                "diverge_factor": diverge_factor,
            }
            chosen = [schedules[i] for i in part]
            if fused:
                own = len(set(common["seed"])) > 1
                compiled = self.compiled and own == self.own_batches
                lanes = prepared.compiled(optimizer) if compiled else prepared.plain
                common |= {"stack": self.stack, "block": self.block, "lanes": lanes}
                with threads(self.threads):
                    done = train_fused(prepared.task, chosen, fill=compiled, **common)
            else:
                with threads(self.threads_of_one):
                    done = train(prepared.task, chosen, **common)
            curves.update(zip(part, done, strict=True))
        return [curves[i] for i in range(len(schedules))]

    def adopt(self, task: Task, optimizer: OptimizerSpec, lanes: Sequence[Lane]) -> None:
        """Use, for a task, steps that are compiled already."""
        self._prepare(task).adopt(optimizer, lanes)

    def _alone(self, schedules: Sequence[Schedule]) -> list[int]:
        """Choose which are trained one after the other: all, those that can't be fused, a few."""
        count = len(schedules)
        if self.kind == "reference":
            return list(range(count))
        refused = [i for i, s in enumerate(schedules) if moves_more_than_the_rate(s)]
        fusable = _without(refused, count)
        size = self.block or self.stack
        layout = Layout(
            size, self.lanes, self.block_seconds, self.alone_seconds, fill=self.compiled
        )
        few = layout.alone(len(fusable) % self.stack)
        return sorted([*refused, *fusable[len(fusable) - few :]])

    def _prepare(self, task: Task) -> "_Prepared":
        if id(task) not in self._prepared:
            self._prepared[id(task)] = _Prepared(task, self)
        return self._prepared[id(task)]


class _Prepared:
    """What an engine makes once for a task: its other memory format, its lanes."""

    def __init__(self, task: Task, engine: Engine) -> None:
        self.original = task  # held, so that no other task gets its id
        self.task = task.channels_last() if engine.channels_last else task
        self._engine = engine
        self._compiled: dict[str, Sequence[Lane]] = {}

    @cached_property
    def plain(self) -> list[Lane]:
        return plain_lanes(self.task, self._engine.lanes)

    def adopt(self, optimizer: OptimizerSpec, lanes: Sequence[Lane]) -> None:
        self.task = lanes[0].template.task
        self._compiled[repr(optimizer)] = lanes

    def compiled(self, optimizer: OptimizerSpec) -> Sequence[Lane]:
        key, engine = repr(optimizer), self._engine
        if key not in self._compiled:
            size, count, own = engine.block or engine.stack, engine.lanes, engine.own_batches
            with threads(engine.threads):
                lanes, problem = compiled_lanes(self.task, optimizer, size, count, own=own)
            self._compiled[key] = self.plain if problem else lanes
        return self._compiled[key]


def _without(left_out: Sequence[int], count: int) -> list[int]:
    return [i for i in range(count) if i not in left_out]


def _moved(tell: Callable[[int, Any], Any] | None, part: Sequence[int]) -> Any:
    """Let a callback hear a run's index among all schedules, not among those of its part."""
    if tell is None:
        return None
    return lambda index, value: tell(part[index], value)


REFERENCE = Engine("reference", reason="asked for")
