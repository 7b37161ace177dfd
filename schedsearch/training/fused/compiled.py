"""CompiledStep: one step of a block, the step of its real optimizer included, by torch.compile."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import MethodType
from typing import Any

import torch
from torch import Tensor

from schedsearch.compat import cpu_compile_options, forget_vector_instructions, with_own_code
from schedsearch.tasks.split import Split
from schedsearch.tasks.task import Task
from schedsearch.training.fused.flat_model import Template
from schedsearch.training.fused.stack import Block, Lane, own_rows
from schedsearch.training.optimizers import OptimizerSpec

_TOLERANCE = 1e-3  # of compiled float32 weights against plain ones, relative to the largest


class CompiledStep:
    """Step blocks of one size with one compiled function: gradients, optimizer, rates.

    The function is traced on a block of the compiled step's own. To step another block, the tensors
    of that block are lent to the traced one, so that nothing is compiled again. Only one thread at
    a time may use a compiled step.

    Args:
        template: the template of the task.
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
        on_cpu = {"options": cpu_compile_options(trusting=trusting)}
        how: dict[str, Any] = {"mode": "reduce-overhead"} if cuda else on_cpu
        self._warm = False
        step = MethodType(with_own_code(Block.step), self._block)
        self._step = torch.compile(step, dynamic=False, **how)

    def _fresh(self, *, products: bool) -> Block:
        weights = self.template.weights(0).expand(self.size, -1).clone()
        gradients = self.template.gradients(own=self.own, products=products)
        return Block(gradients, weights, self.optimizer)

    def __call__(self, block: Block, inputs: Tensor, targets: Tensor, rates: Tensor) -> Tensor:
        """Step the block as `Block.step` does; the first step, which makes the state, is plain."""
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
        """Return how weights differ after three steps, compiled and plain; None: they do not."""
        task = self.template.task
        assert isinstance(task.train, Split)
        rates = torch.full((self.size, 1), 1e-2, device=task.device, dtype=self._block.dtype)
        one, other = self._fresh(products=False), self._fresh(products=False)
        for shared in task.batch_indices(0, 3):
            indices = own_rows(shared, self.size) if self.own else shared
            batch = task.train.take(indices)
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
    """Compile a step for each lane, and check the steps.

    Args:
        task: what is trained.
        optimizer: a fusable optimizer.
        size: rows of a block.
        count: number of lanes.
        own: whether each row has batches of its own.

    Returns:
        The lanes; and what is wrong with their steps, None when nothing is.
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
        forget_vector_instructions()  # an old compiler, or another torch
        return compiled(trusting=False)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide torch's remarks on what it compiles; errors are still raised."""
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
