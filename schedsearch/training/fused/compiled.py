"""CompiledStep: one step of a block, the step of its real optimizer included, by torch.compile."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from types import MethodType
from typing import Any

import torch
from torch import Tensor

from schedsearch.compat import cpu_compile_options, forget_vector_instructions, with_own_code
from schedsearch.tasks.split import Batch
from schedsearch.tasks.tree import leaves, map_tensors
from schedsearch.training.fused.batches import own_rows
from schedsearch.training.fused.block import Block
from schedsearch.training.fused.flat_model import Template
from schedsearch.training.fused.stack import Lane
from schedsearch.training.recipe import Recipe

_TOLERANCE = 1e-3  # of compiled float32 weights against plain ones, relative to the largest


class CompiledStep:
    """Step blocks of one size with one compiled function: gradients, optimizer, rates.

    The function is traced on a block of the compiled step's own. To step another block, the tensors
    of that block are lent to the traced one, so that nothing is compiled again. Only one thread at
    a time may use a compiled step.

    Args:
        template: the template of the recipe.
        size: rows of a block.
        own: whether each row has batches of its own.
        trusting: whether the compiler is taken to know all vector instructions of the processor.
    """

    def __init__(
        self,
        template: Template,
        size: int,
        *,
        own: bool = False,
        trusting: bool = False,
    ) -> None:
        self.template, self.size, self.own = template, size, own
        self._block = self._fresh(products=True)
        cuda = self._block.params[0].device.type == "cuda"
        on_cpu = {"options": cpu_compile_options(trusting=trusting)}
        how: dict[str, Any] = {"mode": "reduce-overhead"} if cuda else on_cpu
        self._warm = False
        step = MethodType(with_own_code(Block.step), self._block)
        self._step = torch.compile(step, dynamic=False, **how)

    def _fresh(self, *, products: bool) -> Block:
        template = self.template
        weights = map_tensors(
            lambda tensor: tensor.expand(self.size, *tensor.shape).clone(), template.weights(0)
        )
        gradients = template.gradients(own=self.own, products=products)
        return Block(gradients, weights, template.layout, template.recipe)

    def __call__(self, block: Block, batches: Sequence[Batch], rates: Tensor) -> Tensor:
        """Step the block as `Block.step` does; the first step, which makes the state, is plain."""
        mine = self._block
        if not mine.stepped:
            mine.step(batches, rates)
        if not block.stepped:
            return block.step(batches, rates)
        for lent, tensor in zip(_tensors(mine), _tensors(block), strict=True):
            lent.data = tensor.data
        with nullcontext() if self._warm else _quiet():
            losses: Tensor = self._step(batches, rates)
        self._warm = True
        return losses

    def differs(self) -> str | None:
        """Return how weights differ after three steps, compiled and plain; None: they do not."""
        task, each = self.template.task, self.template.recipe.accumulate
        groups = len(self.template.layout.factors)
        rates = torch.full((self.size, groups), 1e-2, device=task.device, dtype=self._block.dtype)
        one, other = self._fresh(products=False), self._fresh(products=False)
        shared = list(task.batches(0, 3 * each))
        batches = [own_rows(batch, self.size) if self.own else batch for batch in shared]
        for i in range(0, 3 * each, each):
            self(one, batches[i : i + each], rates)
            other.step(batches[i : i + each], rates)
        trees = [(block.weights, block.averages) for block in (one, other)]
        for got, want in zip(*map(leaves, trees), strict=True):
            gap, largest = (float(t.detach().abs().max()) for t in (got - want, want))
            if not gap <= _TOLERANCE * largest:
                return f"compiled weights differ by {gap / largest:.1g} after three steps"
        return None


def _tensors(block: Block) -> list[Tensor]:
    """Return all tensors of a block that a step changes."""
    states = [state[name] for state in block.states for name in sorted(state)]
    return [*block.params, *block.others.values(), *block.averages, *leaves(states)]


def compiled_lanes(
    recipe: Recipe, size: int, count: int, *, own: bool = False
) -> tuple[list[Lane], str | None]:
    """Compile a step for each lane, and check the steps.

    Args:
        recipe: how jobs are trained.
        size: rows of a block.
        count: number of lanes.
        own: whether each row has batches of its own.

    Returns:
        The lanes; and what is wrong with their steps, None when nothing is.
    """

    def compiled(trusting: bool) -> tuple[list[Lane], str | None]:
        steps = [
            CompiledStep(Template(recipe), size, own=own, trusting=trusting) for _ in range(count)
        ]
        problem = next(filter(None, [step.differs() for step in steps]), None)
        return [Lane(step.template, step) for step in steps], problem

    try:
        return compiled(trusting=True)
    except Exception:
        if recipe.task.device.type != "cpu":
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
