"""Engine: how runs are trained, chosen by measuring; it decides the speed and nothing else."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Literal, TypeAlias

from schedsearch.schedules import Schedule
from schedsearch.tasks.task import Task
from schedsearch.training.candidates import threads
from schedsearch.training.compiled import CompiledStep
from schedsearch.training.curve import Curve
from schedsearch.training.fused import train_fused
from schedsearch.training.optimizers import OptimizerSpec
from schedsearch.training.rates import moves_more_than_the_rate
from schedsearch.training.reference import DIVERGE_FACTOR, OnEnd, OnEval, train
from schedsearch.training.template import Template

EngineName: TypeAlias = Literal["auto", "reference", "fused"]


@dataclass(frozen=True)
class Engine:
    """A way of training, with the reference engine's signature and results.

    Args:
        kind: one run at a time, or many at once.
        stack: how many at once.
        block: rows of a block of the stack; None: the stack is one block.
        compiled: whether a block's step is compiled (where runs share their batches).
        channels_last: whether images and models are in that memory format.
        threads: intra-op threads on the CPU.
        alone_threads: those of a run that is trained alone, of a fused engine.
        step_seconds: what a step of one run took when it was measured; 0.0: it was not.
        reason: why it was chosen, in one line.
    """

    kind: Literal["reference", "fused"]
    stack: int = 1
    block: int | None = None
    compiled: bool = False
    channels_last: bool = False
    threads: int = 1
    alone_threads: int = 1
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
        return ", ".join([*words, f"{self.threads} thread{'s' * (self.threads != 1)}"])

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
        alone = [i for i, s in enumerate(schedules) if self._alone(s)]
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
                common |= {"stack": self.stack, "block": self.block}
                if self.compiled and len(set(common["seed"])) == 1:
                    common["stepper"] = prepared.compiled_step(optimizer, self.block or self.stack)
                with threads(self.threads):
                    done = train_fused(prepared.task, chosen, template=prepared.template, **common)
            else:
                with threads(self.threads_of_one):
                    done = train(prepared.task, chosen, **common)
            curves.update(zip(part, done, strict=True))
        return [curves[i] for i in range(len(schedules))]

    def adopt(self, task: Task, step: CompiledStep) -> None:
        """Use, for a task, a step that is compiled already."""
        self._prepare(task).adopt(step)

    def _alone(self, schedule: Schedule) -> bool:
        return self.kind == "reference" or moves_more_than_the_rate(schedule)

    def _prepare(self, task: Task) -> "_Prepared":
        if id(task) not in self._prepared:
            self._prepared[id(task)] = _Prepared(task, self.channels_last)
        return self._prepared[id(task)]


class _Prepared:
    """What an engine makes once for a task: its other memory format, its model's code."""

    def __init__(self, task: Task, channels_last: bool) -> None:
        self.original = task  # held, so that no other task gets its id
        self.task = task.channels_last() if channels_last else task
        self._steps: dict[tuple[str, int], CompiledStep] = {}

    @cached_property
    def template(self) -> Template:
        return Template(self.task)

    def adopt(self, step: CompiledStep) -> None:
        self.task, self.template = step.template.task, step.template
        self._steps[repr(step.optimizer), step.size] = step

    def compiled_step(self, optimizer: OptimizerSpec, size: int) -> CompiledStep:
        key = (repr(optimizer), size)
        if key not in self._steps:
            self._steps[key] = CompiledStep(self.template, optimizer, size)
        return self._steps[key]


def _without(left_out: Sequence[int], count: int) -> list[int]:
    return [i for i in range(count) if i not in left_out]


def _moved(tell: Callable[[int, Any], Any] | None, part: Sequence[int]) -> Any:
    """Let a callback hear a run's index among all schedules, not among those of its part."""
    if tell is None:
        return None
    return lambda index, value: tell(part[index], value)


REFERENCE = Engine("reference", reason="asked for")
