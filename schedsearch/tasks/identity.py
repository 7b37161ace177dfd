"""The identity of a task: what may not change while a run goes on, as values that JSON can hold."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from schedsearch.tasks.apart import apart
from schedsearch.tasks.fingerprint import fingerprint, name_of
from schedsearch.tasks.sketch import alike, sketch_of
from schedsearch.tasks.split import Split
from schedsearch.tasks.stream import Stream
from schedsearch.tasks.task import Task
from schedsearch.tasks.tree import leaves

TASK = "task."
"""What the names of these values begin with."""

_BATCHES = 3  # of a stream that are looked at
_TOLERANCE = 1e-5  # share of the norm by which a projection may differ,
_STREAM_TOLERANCE = 1e-2  # and in a stream, whose examples another version of a reader decodes
_ABOUT, _DIGITS, _SKETCH, _WITHIN = "about", "digits", "sketch", "within"


def task_identity(task: Task) -> dict[str, Any]:
    """Return what a task is known by, by dotted name: parameters, code, data, loss, metrics.

    Weights count as far as no seed decides them: those of a checkpoint.
    """
    with apart(task.device):
        model = task.model(0)
        found: dict[str, Any] = {
            "parameters": _parameters(model),
            "model": _code(task.make_model, model, name=name_of(type(model))),
            "train": _data(task.train),
            "validation": _data(task.validation),
            "loss": _code(task.loss),
            "metrics": _code(
                *((m.name, m.direction, m.function, m.finish) for m in task.metrics),
                name=", ".join(f"{m.name} ({m.direction})" for m in task.metrics) or "none",
            ),
            "target": {_ABOUT: "none" if task.target is None else "{} {:g}".format(*task.target)},
        }
        given = _given_weights(model, task.model(1))
        if given:
            sketch = sketch_of(given).to_list()
            found["weights"] = {_ABOUT: "given", _SKETCH: sketch, _WITHIN: _TOLERANCE}
    if task.train_loss is not task.loss:
        found["train_loss"] = _code(task.train_loss)
    for name in ("groups", "augment"):
        if (function := getattr(task, name)) is not None:
            found[name] = _code(function)
    return {f"{TASK}{name}": value for name, value in found.items()}


def task_changes(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return in what two identities of a task differ, in words.

    Args:
        was: an identity, and whatever else, by dotted name.
        now: another.

    >>> was = {"task.parameters": {"about": "8,970 in 6 tensors", "digits": "31598e99"}}
    >>> now = {"task.parameters": {"about": "17,930 in 6 tensors", "digits": "07dd37a1"}}
    >>> task_changes(was, now), task_changes(was, was)
    (['task.parameters: 8,970 in 6 tensors -> 17,930 in 6 tensors'], [])
    """
    names = sorted(name for name in was.keys() | now.keys() if name.startswith(TASK))
    pairs = ((name, was.get(name), now.get(name)) for name in names)
    return [f"{name}: {_change(one, two)}" for name, one, two in pairs if not _same(one, two)]


def _same(was: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> bool:
    if was is None or now is None:
        return was is now
    if any(was.get(key) != now.get(key) for key in (_ABOUT, _DIGITS)):
        return False
    sketches = was.get(_SKETCH, []), now.get(_SKETCH, [])
    return alike(*sketches, float(was.get(_WITHIN, 0)))


def _change(was: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> str:
    one, two = ("none" if each is None else str(each[_ABOUT]) for each in (was, now))
    return f"{one} -> {two}" if one != two else f"{one} -> {two} with other content"


def _parameters(model: nn.Module) -> dict[str, Any]:
    named = {name: [[*p.shape], p.requires_grad] for name, p in model.named_parameters()}
    count = sum(p.numel() for p in model.parameters())
    frozen = sum(p.numel() for p in model.parameters() if not p.requires_grad)
    kept = f", {frozen:,} of them frozen" if frozen else ""
    return {_ABOUT: f"{count:,} in {len(named)} tensors{kept}", _DIGITS: fingerprint(named)}


def _code(*things: object, name: str = "") -> dict[str, Any]:
    return {_ABOUT: name or name_of(things[0]), _DIGITS: fingerprint(*things)}


def _data(examples: Split | Stream) -> dict[str, Any]:
    if isinstance(examples, Split):
        sketch = sketch_of((examples.inputs, examples.targets))
        about, within = f"{len(examples):,} examples", _TOLERANCE
    else:
        sketch = sketch_of([tuple(batch) for batch in islice(examples.epoch(0), _BATCHES)])
        about, within = f"{examples.batches_per_epoch:,} batches", _STREAM_TOLERANCE
    return {_ABOUT: about, _SKETCH: sketch.to_list(), _WITHIN: within}


def _given_weights(model: nn.Module, other: nn.Module) -> list[Tensor]:
    """Return the weights that no seed decides, such as those of a checkpoint; no constant ones."""
    pairs = zip(leaves(model.state_dict()), leaves(other.state_dict()), strict=True)
    return [one for one, two in pairs if torch.equal(one, two) and not _is_constant(one)]


def _is_constant(tensor: Tensor) -> bool:
    return tensor.numel() < 2 or bool((tensor == tensor.flatten()[0]).all())
