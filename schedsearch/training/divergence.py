"""When a training has diverged, so that it ends early; for losses of any sign and scale.

A training has diverged when a loss is not finite, or when its mean training loss is above a limit
in three evaluations in a row. The limit lies above the untrained model's training loss, by a margin
that is measured on that model:

    limit = mean + (diverge_factor - 1) * scale
    scale = the largest of |mean|, the spread of the loss between batches,
            |mean loss with the targets shuffled - mean|

The validation loss does not decide: with BatchNorm it can be far above that of the untrained model
while the running statistics lag behind the weights, in a training that ends well.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from schedsearch.seeds import derive_seed
from schedsearch.tasks.evaluate import evaluate
from schedsearch.tasks.split import Batch, call
from schedsearch.tasks.task import Task, seeded
from schedsearch.tasks.tree import leaves, map_tensors
from schedsearch.training.curve import Evaluation

DIVERGE_FACTOR = 3.0
IN_A_ROW = 3  # evaluations above the limit
_BATCHES = 8


@dataclass(frozen=True)
class Start:
    """What the untrained model of a seed gives.

    Args:
        values: what it gives on the validation split, by the names of the columns.
        limit: the training loss above which an evaluation counts as diverged.
    """

    values: Mapping[str, float]
    limit: float


@torch.no_grad()
def start_of(task: Task, seed: int, factor: float) -> Start:
    """Measure the untrained model of a seed: on the validation split, and on a few batches.

    Args:
        task: what is trained.
        seed: decides the weights and the batches.
        factor: how many times its own size the training loss may reach.
    """
    model = task.model(seed)
    measured = {name: float(value) for name, value in evaluate(model, task).items()}
    model.train()
    with seeded(derive_seed(seed, "start"), task.device):
        batches = list(islice(task.batches(seed, _BATCHES), _BATCHES))
        losses = torch.stack([task.loss_of(model, batch).float() for batch in batches])
        shuffled = torch.stack([_shuffled_loss(task, model, batch) for batch in batches])
    mean, spread = float(losses.mean()), float(losses.std()) if len(losses) > 1 else 0.0
    apart = abs(float(shuffled.mean()) - mean)
    scale = max(x for x in (abs(mean), spread, apart, 0.0) if math.isfinite(x))
    limit = mean + (factor - 1) * scale if scale > 0 else math.inf
    return Start({f"val_{name}": value for name, value in measured.items()}, limit)


def _shuffled_loss(task: Task, model: torch.nn.Module, batch: Batch) -> Tensor:
    """Return the loss of a batch whose targets are those of other examples."""
    outputs = call(model, batch.inputs)
    count = len(leaves(batch.targets)[0])
    order = torch.arange(count, device=task.device).roll(max(1, count // 2))
    targets = map_tensors(lambda t: t[order] if len(t) == count else t, batch.targets)
    return task.train_loss(outputs, targets).float()


def diverged(rows: Sequence[Evaluation], limit: float) -> bool:
    """Return whether a training has diverged by its last evaluation.

    >>> def rows(*losses):
    ...     return [Evaluation(i, 0.1, x, 1.0, 0.0) for i, x in enumerate(losses)]
    >>> diverged(rows(5.0, 5.0, 5.0), limit=4.0), diverged(rows(5.0, 3.0, 5.0, 5.0), limit=4.0)
    (True, False)
    >>> diverged(rows(float("nan")), limit=4.0), diverged(rows(-1.0, -1.0, -1.0), limit=-2.0)
    (True, True)
    """
    if rows and not rows[-1].finite:
        return True
    last = rows[-IN_A_ROW:]
    return len(last) == IN_A_ROW and all(row.train_loss > limit for row in last)
