"""CompiledStep: one step of a block by torch.compile, its real optimizer's step included."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import FunctionType, MethodType
from typing import Any

import torch
from torch import Tensor

from schedsearch.tasks.task import Task
from schedsearch.training.optimizers import OptimizerSpec
from schedsearch.training.stack import Block, Lane, own_rows
from schedsearch.training.template import Template

# on the CPU: one C++ function for the whole step, in which Python's lock is free for other threads;
# and no guards but those of the tensors' shapes: nothing else ever changes
_CPU = {"cpp_wrapper": True, "guard_filter_fn": torch.compiler.keep_tensor_guards_unsafe}
# no test programs for all that the processor says it can do: they take longer than the step itself
_TRUSTING = {"cpp.vec_isa_ok": True}
_TOLERANCE = 1e-3  # of two steps of compiled float32 against plain ones, relative to the largest


class CompiledStep:
    """Step blocks of one size with one compiled function: gradients, optimizer, rates.

    The function is traced on a block of its own. The tensors of the block that is to be stepped are
    lent to it for the step, so that nothing is compiled again for another block. One thread at a
    time may use it.

    Args:
        template: the task's.
        optimizer: a fusable optimizer.
        size: rows of a block.
        own: whether each row has batches of its own.
        trusting: whether the compiler is taken to know all vector instructions of the processor.
    """

    def __init__(
        self,
        template: Template,
        optimizer: OptimizerSpec,
        size: int,
        *,
        own: bool = False,
        trusting: bool = False,
    ) -> None:
        self.template, self.optimizer, self.size, self.own = template, optimizer, size, own
        self._block = self._fresh(products=True)
        cuda = self._block.params.device.type == "cuda"
        on_cpu = {"options": _CPU | (_TRUSTING if trusting else {})}
        how: dict[str, Any] = {"mode": "reduce-overhead"} if cuda else on_cpu
        self._warm = False
        # code of its own: torch compiles one function anew 8 times at most, then runs it as it is
        step = FunctionType(Block.step.__code__.replace(), Block.step.__globals__)
        self._step = torch.compile(MethodType(step, self._block), dynamic=False, **how)

    def _fresh(self, *, products: bool) -> Block:
        weights = self.template.weights(0).expand(self.size, -1).clone()
        gradients = self.template.gradients(own=self.own, products=products)
        return Block(gradients, weights, self.optimizer)

    def __call__(self, block: Block, inputs: Tensor, targets: Tensor, rates: Tensor) -> Tensor:
        """Step the block, as `Block.step` does; the first step, which makes the state, is that."""
        mine = self._block
        if mine.params.grad is None:
            mine.step(inputs, targets, rates)
        if mine.state and not block.state:
            return block.step(inputs, targets, rates)
        mine.params.data = block.params.data
        for name, value in block.state.items():
            if isinstance(value, Tensor):
                mine.state[name].data = value
        with nullcontext() if self._warm else _quiet():
            losses: Tensor = self._step(inputs, targets, rates)
        self._warm = True
        return losses

    def differs(self) -> str | None:
        """Make three steps as compiled and as they are, and say whether they came out different."""
        task = self.template.task
        rates = torch.full((self.size, 1), 1e-2, device=task.device, dtype=self._block.dtype)
        one, other = self._fresh(products=False), self._fresh(products=False)
        for shared in task.batch_indices(0, 3):
            indices = own_rows(shared, self.size) if self.own else shared
            batch = task.train.inputs[indices], task.train.targets[indices]
            self(one, *batch, rates)
            other.step(*batch, rates)
        gap = float((one.params - other.params).detach().abs().max())
        largest = float(other.params.detach().abs().max())
        if gap <= _TOLERANCE * largest:
            return None
        return f"compiled weights differ by {gap / largest:.1g} after three steps"


def compiled_lanes(
    task: Task, optimizer: OptimizerSpec, size: int, count: int, *, own: bool = False
) -> tuple[list[Lane], str | None]:
    """Compile a step for each of so many lanes, and check it.

    Returns:
        the lanes; and what is wrong with the step, None when nothing is.
    """

    def compiled(trusting: bool) -> tuple[list[Lane], str | None]:
        steps = [
            CompiledStep(Template(task), optimizer, size, own=own, trusting=trusting)
            for _ in range(count)
        ]
        problem = next(filter(None, [step.differs() for step in steps]), None)
        return [Lane(step.template, step) for step in steps], problem

    try:
        return compiled(trusting=True)
    except Exception:
        if task.device.type != "cpu":
            raise
        # an old compiler, or another torch: let torch find out what it can do
        from torch._inductor import cpu_vec_isa

        cpu_vec_isa.valid_vec_isa_list.cache_clear()
        return compiled(trusting=False)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch's remarks on what it compiles out of the screen; errors are raised."""
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
