"""What is seen of a task's data: shapes, labels, numbers that are none, rows in two splits."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from schedsearch.preflight.finding import Finding
from schedsearch.tasks.metrics import IGNORED
from schedsearch.tasks.split import Split, call
from schedsearch.tasks.stream import Stream
from schedsearch.tasks.task import Task
from schedsearch.tasks.tree import Tree, leaves
from schedsearch.tasks.user_code import shown

_ROWS = 100_000  # of a split that are compared with another's

Splits = Mapping[str, Split | Stream]
"""The splits of a task by their names: training, validation, and test where there is one."""


@torch.no_grad()
def see_shapes(task: Task, splits: Splits) -> Finding:
    """Return the shapes of inputs, targets and outputs, and the size of each split."""
    sample = task.sample
    outputs = call(task.model(0).eval(), sample.inputs)
    sizes = (
        f"{len(s):,} {name} rows"
        if isinstance(s, Split)
        else f"{s.batches_per_epoch:,} {name} batches"
        for name, s in splits.items()
    )
    parts = (("inputs", sample.inputs), ("targets", sample.targets), ("outputs", outputs))
    shapes = ", ".join(f"{name} {_shapes(tree)}" for name, tree in parts)
    return Finding("shapes", "ok", f"{shapes}; {', '.join(sizes)}")


def _shapes(tree: Tree) -> str:
    """Return shapes with N for the rows."""
    if isinstance(tree, Tensor):
        kind = str(tree.dtype).removeprefix("torch.")
        return f"[{', '.join(['N', *map(str, tree.shape[1:])])}] {kind}"
    return shown(tree)


def see_labels(splits: Splits) -> Iterator[Finding]:
    """Return the range of labels in each split; and labels that the training data lack."""
    labels = {
        name: split.targets.cpu()
        for name, split in splits.items()
        if isinstance(split, Split) and _are_labels(split.targets)
    }
    known = labels.get("training")
    if known is None:
        return
    known = known[known != IGNORED].unique()
    if len(known) < 2:
        yield Finding("labels", "warning", f"all training targets are {known.tolist()}")
        return
    strange = []
    for name, targets in labels.items():
        here = targets[targets != IGNORED].unique()
        missing = here[~torch.isin(here, known)].tolist()
        if missing:
            strange.append(f"{name} labels that the training data lack: {_few(missing)}")
    ends = f"{int(known.min())} to {int(known.max())}, {len(known)} of them"
    state, text = ("warning", "; ".join(strange)) if strange else ("ok", f"{ends}, in range")
    yield Finding("labels", "warning" if state == "warning" else "ok", text)


def _are_labels(targets: object) -> bool:
    if not isinstance(targets, Tensor) or targets.dtype == torch.bool:
        return False
    return not (targets.is_floating_point() or targets.is_complex())


def _few(values: list[int]) -> str:
    more = f" and {len(values) - 5} more" if len(values) > 5 else ""
    return ", ".join(map(str, values[:5])) + more


def see_numbers(splits: Splits) -> Finding:
    """Return whether all numbers of the splits in memory are finite."""
    bad = []
    for name, split in splits.items():
        if not isinstance(split, Split):
            continue
        for part, tree in (("inputs", split.inputs), ("targets", split.targets)):
            rows = sum(_rows_not_finite(tensor) for tensor in leaves(tree))
            if rows:
                bad.append(f"{rows:,} rows of the {name} {part}")
    if bad:
        return Finding("numbers", "warning", f"nan or infinity in {', '.join(bad)}")
    return Finding("numbers", "ok", "all finite")


def _rows_not_finite(tensor: Tensor) -> int:
    if not tensor.is_floating_point():
        return 0
    finite = torch.isfinite(tensor)
    return 0 if bool(finite.all()) else int((~finite.reshape(len(tensor), -1).all(dim=1)).sum())


def see_duplicates(splits: Splits) -> Finding:
    """Return how many rows of a split are, with equal inputs, rows of another one too.

    Rows are compared by a hash of 64 bits.
    """
    rows = {name: _hashes(split) for name, split in splits.items() if isinstance(split, Split)}
    cut = [
        name for name, split in splits.items() if isinstance(split, Split) and len(split) > _ROWS
    ]
    read = [name for name, split in splits.items() if isinstance(split, Stream)]
    limits = [f"only the first {_ROWS:,} {name} rows were compared" for name in cut]
    limits += [f"the {name} data are a stream, and were not compared" for name in read]
    found = []
    names = list(rows)
    for i, name in enumerate(names):
        for earlier in names[:i]:
            known = set(rows[earlier])
            count = sum(each in known for each in rows[name])
            if count:
                found.append(f"{count:,} of {len(rows[name]):,} {name} rows are {earlier} rows too")
    text = "; ".join([*(found or ["no row lies in two splits"] * (len(rows) > 1)), *limits])
    return Finding("duplicates", "warning" if found else "ok", text)


def _hashes(split: Split) -> list[int]:
    count = min(len(split), _ROWS)
    parts = [
        tensor[:count].detach().cpu().contiguous().reshape(count, -1).view(torch.uint8).numpy()
        for tensor in leaves(split.inputs)
    ]
    return [hash(b"".join(part[row].tobytes() for part in parts)) for row in range(count)]
