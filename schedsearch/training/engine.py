"""Engine: how runs are trained, chosen by measuring; it decides the speed and nothing else."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from schedsearch.schedules import Schedule
from schedsearch.tasks.task import Task
from schedsearch.training.curve import Curve
from schedsearch.training.fused import train_fused
from schedsearch.training.optimizers import OptimizerSpec
from schedsearch.training.rates import moves_more_than_the_rate
from schedsearch.training.reference import DIVERGE_FACTOR, OnEnd, OnEval, train
from schedsearch.training.stack import Template

EngineName: TypeAlias = Literal["auto", "reference", "fused"]


@dataclass(frozen=True)
class Engine:
    """A way of training, with the reference engine's signature and results.

    Args:
        kind: one run at a time, or many at once.
        stack: how many at once.
        threads: intra-op threads on the CPU.
        reason: why it was chosen, in one line.
    """

    kind: Literal["reference", "fused"]
    stack: int = 1
    threads: int = 1
    reason: str = ""
    _templates: dict[int, Template] = field(default_factory=dict, repr=False, compare=False)

    def describe(self) -> dict[str, Any]:
        """Return the choice as plain values."""
        names = ("kind", "stack", "threads", "reason")
        return {name: getattr(self, name) for name in names}

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
                template = self._template(task)
                done = train_fused(task, chosen, stack=self.stack, template=template, **common)
            else:
                done = train(task, chosen, **common)
            curves.update(zip(part, done, strict=True))
        return [curves[i] for i in range(len(schedules))]

    def _alone(self, schedule: Schedule) -> bool:
        return self.kind == "reference" or moves_more_than_the_rate(schedule)

    def _template(self, task: Task) -> Template:
        if id(task) not in self._templates:
            self._templates[id(task)] = Template(task)
        return self._templates[id(task)]


def _without(left_out: Sequence[int], count: int) -> list[int]:
    return [i for i in range(count) if i not in left_out]


def _moved(tell: Callable[[int, Any], Any] | None, part: Sequence[int]) -> Any:
    """Let a callback hear a run's index among all schedules, not among those of its part."""
    if tell is None:
        return None
    return lambda index, value: tell(part[index], value)


REFERENCE = Engine("reference", reason="asked for")
