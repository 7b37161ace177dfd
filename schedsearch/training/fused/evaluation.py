"""The loss and the metrics of K jobs: the numbers that `evaluate` gives for each by itself.

A model is called on the pieces of the split for many jobs at once, and the loss and each metric on
all outputs of a job: for many jobs at once too, where torch can. Whether it can is tried on two
jobs, and compared. What cannot be done for many jobs at once (torch has no GRU of many weights; a
metric may be any Python) is done job by job.
"""

from collections.abc import Callable
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import vmap

from schedsearch.tasks.evaluate import evaluate, evaluation_pieces, measures, outputs_fit
from schedsearch.tasks.metrics import Metric
from schedsearch.tasks.split import Split, call
from schedsearch.tasks.task import Task, seeded
from schedsearch.tasks.tree import Tree, combine, concat, leaves, map_tensors
from schedsearch.training.fused.called import Called
from schedsearch.training.fused.layout import Layout, Weights, tensors_of

_NUMBERS = 4_000_000  # numbers in the inputs of a forward pass, over all jobs
_OUTPUT_BYTES = 128e6  # that the outputs of the jobs of one pass may take
_TOLERANCE = 1e-3  # of outputs and metrics for many jobs at once, relative to the largest


class JobsEvaluation:
    """Evaluates jobs of a task on its validation split.

    Args:
        task: the task.
        model: the model's code; what all jobs share is read from it.
        layout: how the weights of a job lie.

    Attributes:
        measures: what is computed for many jobs at once, by name; None: each job is evaluated by
            itself, with the plain model.
    """

    def __init__(self, task: Task, model: nn.Module, layout: Layout) -> None:
        self._task, self._model, self._layout = task, model, layout
        self.measures: frozenset[str] | None = None

    @torch.no_grad()
    def __call__(self, weights: Weights) -> dict[str, Tensor]:
        """Return the loss and the metrics `[K]` of K jobs (no sync by our own metrics)."""
        jobs = len(weights.params[0])
        size = 1 if self.measures is None else self._at_once()
        parts = []
        for first in range(0, jobs, size):
            some = map_tensors(itemgetter(slice(first, first + size)), weights)
            parts.append(self._one(some) if self.measures is None else self._judged(some))
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def _one(self, weights: Weights) -> dict[str, Tensor]:
        """Evaluate a single job with the plain model."""
        self._fill(map_tensors(itemgetter(0), weights))
        values = evaluate(self._model, self._task)
        return {name: value.to(self._task.device).unsqueeze(0) for name, value in values.items()}

    def _fill(self, weights: Weights) -> None:
        named = self._layout.named(weights)
        for name, tensor in tensors_of(self._model).items():
            if name in named:
                tensor.copy_(named[name])

    def _at_once(self) -> int:
        """Return how many jobs one pass may hold."""
        split = self._task.validation
        assert isinstance(split, Split)
        rows = max(piece.stop - piece.start for piece in evaluation_pieces(self._task, split))
        numbers = rows * sum(tensor[0].numel() for tensor in leaves(split.inputs))
        outputs = self._task.outputs.row_bytes * len(split)
        return max(1, int(min(_NUMBERS / max(numbers, 1), _OUTPUT_BYTES / max(outputs, 1))))

    def _judged(self, weights: Weights) -> dict[str, Tensor]:
        split = self._task.validation
        assert isinstance(split, Split)
        outputs = self._outputs(weights, evaluation_pieces(self._task, split))
        targets = split.take(slice(None)).targets
        return {
            metric.name: many(metric, outputs, targets)
            if metric.name in (self.measures or ())
            else each(metric, outputs, targets)
            for metric in measures(self._task)
        }

    def _outputs(self, weights: Weights, pieces: list[slice]) -> Tree:
        """Return the outputs of the jobs, tensors `[K, N, ...]`."""
        split, model = self._task.validation, self._model
        assert isinstance(split, Split)

        def one(params: tuple[Tensor, ...], others: dict[str, Tensor], inputs: Tree) -> Tree:
            named = self._layout.named(Weights(params, others))
            forward: Any = Called(model, named)
            return call(forward, inputs)

        every: Callable[..., Tree] = vmap(one, in_dims=(0, 0, None))
        was_training = model.training
        model.eval()
        try:
            return concat([every(*weights, split.take(piece).inputs) for piece in pieces], dim=1)
        finally:
            model.train(was_training)

    @torch.no_grad()
    def tried(self) -> frozenset[str] | None:
        """Return what can be computed for many jobs at once; None: not even their outputs."""
        task, split = self._task, self._task.validation
        if not isinstance(split, Split) or not outputs_fit(task, split):
            return None
        pieces = evaluation_pieces(task, split)[:1]
        inputs, targets = split.take(pieces[0])
        with seeded(0, task.device):
            models = [task.model(seed).eval() for seed in (0, 1)]
            weights = combine(torch.stack, [self._layout.weights(model) for model in models])
            want = combine(torch.stack, [call(model, inputs) for model in models])
            try:
                got = self._outputs(weights, pieces)
                if not all(map(close, leaves(got), leaves(want))):
                    return None
            except Exception:  # whatever vmap, or a model under it, raises
                return None
            found = [m.name for m in measures(task) if _vmaps(m, want, targets)]
        return frozenset(found)


def _vmaps(metric: Metric, outputs: Tree, targets: Tree) -> bool:
    """Return whether a metric of the outputs of jobs is the same at once as one by one."""
    want = each(metric, outputs, targets)
    try:
        return close(many(metric, outputs, targets), want)
    except Exception:  # a metric may be any code, such as one that asks for numbers
        return False


def many(metric: Metric, outputs: Tree, targets: Tree) -> Tensor:
    """Return a metric `[K]` of the outputs of K jobs, at once."""
    values: Tensor = vmap(metric.value, in_dims=(0, None))(outputs, targets)
    return values


def each(metric: Metric, outputs: Tree, targets: Tree) -> Tensor:
    """Return a metric `[K]` of the outputs of K jobs, one after the other."""
    first = leaves(outputs)[0]
    each_job = [map_tensors(itemgetter(job), outputs) for job in range(len(first))]
    values = [metric.value(mine, targets) for mine in each_job]
    return torch.stack([value.to(first.device) for value in values])


def close(got: Tensor, want: Tensor) -> bool:
    """Return whether tensors are equal up to rounding."""
    if got.shape != want.shape or got.dtype != want.dtype:
        return False
    if not got.is_floating_point():
        return bool(torch.equal(got, want))
    finite = want[want.isfinite()].abs()
    largest = float(finite.max()) if len(finite) else 0.0
    return torch.allclose(got, want, rtol=0, atol=_TOLERANCE * largest, equal_nan=True)
