"""What is seen of a model before it is trained: its loss, its gradients, whether it can learn."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from schedsearch.preflight.finding import Finding
from schedsearch.tasks.apart import apart
from schedsearch.tasks.metrics import IGNORED
from schedsearch.tasks.split import Batch, Split, call
from schedsearch.tasks.task import Task
from schedsearch.tasks.tree import leaves, map_tensors
from schedsearch.tasks.tries import first_batch, try_gradients, try_loss
from schedsearch.training.recipe import Recipe
from schedsearch.training.step import make_step

_STEPS, _SECONDS = 100, 12.0  # of the tries to fit one batch, for each rate and for all of them
_LARGE, _SMALL = 1.5, 0.5  # times the loss of chance that a start may have
_CLEAR, _AT_ALL = 0.2, 0.02  # share of its loss by which a batch must get better
_SAME = 1e-3


@dataclass(frozen=True)
class Chance:
    """What a loss is when the outputs say nothing.

    Args:
        loss: the loss.
        words: what it is, in words.
        least: the loss when the outputs say how frequent each class is.
    """

    loss: float
    words: str
    least: float


def see_start(recipe: Recipe, seed: int) -> Finding:
    """Return the untrained model's validation loss, beside that of chance where it is known."""
    loss, chance = recipe.start(seed).values["val_loss"], chance_of(recipe.trained_task)
    if chance is None:
        return Finding("start", "ok", f"loss {loss:.4g}; what chance gives is not known for it")
    text = f"loss {loss:.4g}, where chance gives {chance.loss:.4g} ({chance.words})"
    if loss > _LARGE * chance.loss + _SAME:
        text += ": the outputs are large before any training (initial weights? unscaled inputs?)"
        return Finding("start", "warning", text)
    if loss < _SMALL * chance.least:
        text += ": better than chance before any training (trained weights? labels in the inputs?)"
        return Finding("start", "warning", text)
    return Finding("start", "ok", text)


@torch.no_grad()
def chance_of(task: Task) -> Chance | None:
    """Return what a task's loss is when the outputs say nothing; None where that is not known.

    A loss that is log(C) for outputs of zeros, with C their classes, is a cross entropy, whatever
    function computes it.

    >>> from schedsearch import load_task
    >>> chance_of(load_task("digits")).words
    'log of 10 classes'
    """
    sample = task.sample
    outputs = call(task.model(0).eval(), sample.inputs)
    if task.loss is mse_loss or isinstance(task.loss, nn.MSELoss):
        return _of_squares(task)
    if not isinstance(outputs, Tensor) or outputs.dim() < 2:
        return None
    zeros = map_tensors(torch.zeros_like, outputs)
    loss = float(task.loss(zeros, sample.targets))
    for classes in dict.fromkeys((outputs.shape[1], outputs.shape[-1])):
        if classes > 1 and math.isclose(loss, math.log(classes), rel_tol=_SAME):
            least = _entropy(task) or loss
            words = f"log of {classes} classes"
            if least < (1 - 0.02) * loss:
                words += f"; {least:.4g} for who knows how frequent each is"
            return Chance(loss, words, least)
    if math.isclose(loss, math.log(2), rel_tol=_SAME):
        return Chance(loss, "log of 2: yes or no", 0.0)
    return None


def _of_squares(task: Task) -> Chance | None:
    if not isinstance(task.train, Split) or not isinstance(task.train.targets, Tensor):
        return None
    spread = float(task.train.targets.float().var(dim=0, unbiased=False).mean())
    return Chance(spread, "the variance of the targets", 0.0) if spread > 0 else None


def _entropy(task: Task) -> float | None:
    """Return the entropy of the classes in the training data."""
    if not isinstance(task.train, Split) or not isinstance(task.train.targets, Tensor):
        return None
    targets = task.train.targets
    if targets.is_floating_point():
        return None
    _, counts = torch.unique(targets[targets != IGNORED], return_counts=True)
    share = counts / counts.sum()
    return float(-(share * share.log()).sum())


def see_gradients(task: Task) -> Finding:
    """Return whether all parameters get a finite gradient; those that get none are named.

    Raises:
        ConfigError: none gets one, or one is not finite.
    """
    with apart(task.device):
        model = task.model(0).train()
        without = try_gradients(task, model, try_loss(task, model, first_batch(task)))
    count = sum(p.requires_grad for p in model.parameters())
    if without:
        more = f" and {len(without) - 3} more" if len(without) > 3 else ""
        text = f"no gradient for {', '.join(without[:3])}{more}: the loss does not depend on them"
        return Finding("gradients", "warning", text)
    return Finding("gradients", "ok", f"finite, in all {count} tensors")


def see_fit(recipe: Recipe, rates: Sequence[float]) -> Finding:
    """Return whether the optimizer fits one batch, at one of some rates.

    The rates are tried in turn, 100 steps each; fewer where a step takes long.
    """
    task, ends = recipe.trained_task, monotonic() + _SECONDS
    with apart(task.device):
        batch = first_batch(task)
    tried = []
    for number, rate in enumerate(rates):
        until = monotonic() + (ends - monotonic()) / (len(rates) - number)
        tried.append((rate, *_fit(recipe, batch, rate, until)))
        if tried[-1][2] >= _CLEAR:
            break
    rate, steps, fall, first, last = max(tried, key=lambda each: each[2])
    text = f"{first:.4g} to {last:.4g} in {steps} steps at rate {rate:.3g}"
    if fall >= _CLEAR:
        return Finding("one batch", "ok", f"its loss falls from {text}")
    shown = ", ".join(f"{each[0]:.3g}" for each in tried)
    if fall >= _AT_ALL:
        return Finding("one batch", "warning", f"its loss falls a little, from {text}")
    if first < 0.1 * _shuffled(recipe, batch):
        return Finding("one batch", "ok", f"the untrained model fits it already: loss {first:.4g}")
    return Finding(
        "one batch",
        "would fail",
        f"its loss falls at none of the rates {shown}: at best from {text}",
    )


def _fit(
    recipe: Recipe, batch: Batch, rate: float, until: float
) -> tuple[int, float, float, float]:
    """Return steps, the share of the loss that is gone, the first loss and the lowest."""
    task = recipe.trained_task
    with apart(task.device):
        model = task.model(0).train()
        optim = recipe.make_optimizer(model, rate)
        losses: list[float] = []
        while len(losses) < _STEPS and (len(losses) < 3 or monotonic() < until):
            loss = make_step(recipe, model, optim, [batch] * recipe.accumulate)
            losses.append(float(loss))
            if not math.isfinite(losses[-1]):
                break
    first, last = losses[0], min(x for x in losses if math.isfinite(x))
    return len(losses), (first - last) / max(abs(first), 1e-12), first, last


@torch.no_grad()
def _shuffled(recipe: Recipe, batch: Batch) -> float:
    """Return the untrained model's loss of a batch with the targets of other examples."""
    task = recipe.trained_task
    with apart(task.device):
        model = task.model(0).train()
        rows = len(leaves(batch.targets)[0])
        targets = map_tensors(lambda tensor: tensor.roll(max(1, rows // 2), 0), batch.targets)
        return float(task.train_loss(call(model, batch.inputs), targets))
