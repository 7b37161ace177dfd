"""What is seen of evaluations: in pieces as in one, the same twice, metrics in their range."""

from dataclasses import replace

import torch

from schedsearch.preflight.finding import Finding
from schedsearch.tasks.apart import apart
from schedsearch.tasks.evaluate import evaluate
from schedsearch.tasks.split import Split
from schedsearch.tasks.task import Task

_ROWS, _PIECES = 2000, 7  # rows that are evaluated in one piece, and in how many others
_SAME = 1e-4  # share by which two evaluations may differ: rounding


def see_pieces(task: Task) -> Finding:
    """Return whether an evaluation in one piece and in many gives the same."""
    if not isinstance(task.validation, Split):
        return Finding("evaluation", "ok", "in the batches of its loader, put together")
    if not task.outputs.alone:
        text = (
            "the outputs for an example depend on what else is in its piece (BatchNorm with the "
            "statistics of the batch?): the split is evaluated at once"
        )
        return Finding("evaluation", "warning", text)
    rows = min(len(task.validation), _ROWS)
    split = Split(*task.validation.take(slice(0, rows)))
    model = task.model(0)
    one, many = (
        _values(replace(task, eval_rows=size), model, split)
        for size in (rows, max(2, rows // _PIECES))
    )
    apart_by = {name: abs(one[name] - many[name]) for name in one}
    worst = max(apart_by, key=lambda name: apart_by[name] / max(abs(one[name]), 1e-6))
    if apart_by[worst] > _SAME * max(abs(one[worst]), 1e-2):
        text = f"{worst} is {one[worst]:.6g} in one piece and {many[worst]:.6g} in {_PIECES}"
        return Finding("evaluation", "warning", text)
    return Finding("evaluation", "ok", f"the same in one piece and in {_PIECES}")


def see_metrics(task: Task) -> Finding:
    """Return the untrained model's metrics: in their range, and the same in two evaluations."""
    model = task.model(0)
    first, second = (_values(task, model, None, seed) for seed in (0, 1))
    text = ", ".join(f"{name} {value:.4g}" for name, value in first.items() if name != "loss")
    for name, value in first.items():
        if abs(value - second[name]) > _SAME * max(abs(value), 1e-2):
            said = f"{name} is {value:.6g} and {second[name]:.6g} in two evaluations of one model"
            return Finding("metrics", "warning", f"{said}: something draws random numbers there")
    for metric in task.metrics:
        ends = (metric.worst, metric.best)
        low, high = ends if metric.direction == "maximize" else ends[::-1]
        value = first[metric.name]
        if (low is not None and value < low) or (high is not None and value > high):
            said = f"{metric.name} = {value:.4g}, and the metric says that {_range(low, high)}"
            return Finding("metrics", "warning", said)
    return Finding("metrics", "ok", f"{text or 'none beside the loss'}; the same twice")


def _range(low: float | None, high: float | None) -> str:
    """Return a range in words.

    >>> _range(0.0, 1.0), _range(None, 1.0)
    ('it lies between 0 and 1', 'it is at most 1')
    """
    if low is not None and high is not None:
        return f"it lies between {low:g} and {high:g}"
    return f"it is at most {high:g}" if low is None else f"it is at least {low:g}"


@torch.no_grad()
def _values(
    task: Task, model: torch.nn.Module, split: Split | None, seed: int = 0
) -> dict[str, float]:
    with apart(task.device, seed):
        return {name: float(value) for name, value in evaluate(model, task, split).items()}
