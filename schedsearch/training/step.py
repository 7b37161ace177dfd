"""One optimizer step of one model, as every plain loop makes it."""

from collections.abc import Iterable

from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from schedsearch.tasks.split import Batch
from schedsearch.training.recipe import Recipe


def make_step(
    recipe: Recipe, model: nn.Module, optimizer: Optimizer, batches: Iterable[Batch]
) -> Tensor:
    """Make a step on `recipe.accumulate` batches: gradients are averaged, clipped, and applied.

    Args:
        recipe: how the model is trained.
        model: the model, in training mode.
        optimizer: its optimizer.
        batches: the step's batches.

    Returns:
        The mean loss of the batches before the step, on the device (no sync).
    """
    optimizer.zero_grad()
    losses = []
    for batch in batches:
        loss = recipe.trained_task.loss_of(model, batch) / recipe.accumulate
        loss.backward()  # type: ignore[no-untyped-call]
        losses.append(loss.detach())
    if recipe.clip_norm is not None:
        clip_grad_norm_(model.parameters(), recipe.clip_norm)
    optimizer.step()
    return sum(losses[1:], start=losses[0])
