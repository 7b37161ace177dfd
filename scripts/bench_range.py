"""How often the range test of `peak_lr = "auto"` finds a range that holds the best rate.

For each task and optimizer, short trainings (CosineAnnealingLR) at a grid of peak rates, half a
decade apart, say which is best: the lowest mean validation loss of a few seeds. Then the range test
is made with several study seeds, and counted how often the best rate of the grid lies in its range.
"""

import argparse
import json
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pydoc_data.topics import topics
from typing import Any

import torch
from sklearn.datasets import load_diabetes
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from schedsearch import Schedule, train
from schedsearch.tasks.registry import load_task
from schedsearch.tasks.split import Split
from schedsearch.tasks.task import Task
from schedsearch.training.default_rates import default_rates
from schedsearch.training.device import threads
from schedsearch.training.optimizers import OptimizerSpec
from schedsearch.training.range_test import run_range_test
from schedsearch.training.recipe import Recipe

OPTIMIZERS = (OptimizerSpec("SGD", {"momentum": 0.9}), OptimizerSpec("AdamW", {}))
RATES = tuple(10 ** (n / 2) for n in range(-8, 3))  # 1e-4 to 10
STEPS, TRAININGS, STUDIES, ENOUGH = 300, 3, 8, 0.95
_LINE = 32  # characters that the token model sees


def _drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _task(
    name: str,
    make: Callable[[], nn.Module],
    inputs: Tensor,
    targets: Tensor,
    train_rows: int,
    loss: Callable[[Tensor, Tensor], Tensor],
) -> Task:
    """Return a task of rows in a random order, which is always the same."""
    order = torch.randperm(len(inputs), generator=_drawn(0))
    first, rest = order[:train_rows], order[train_rows:]
    return Task(
        name=name,
        model_name="net",
        make_model=make,
        train=Split(inputs[first], targets[first]),
        validation=Split(inputs[rest], targets[rest]),
        loss=loss,
        train_loss=loss,
        metrics=(),
        target=None,
        batch_size=32,
        device=torch.device("cpu"),
    )


def _net(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, 32), nn.ReLU(), nn.Linear(32, outputs))


def noisy_labels() -> Task:
    """Return digits, half of whose training labels are drawn at random."""
    digits, drawn = load_task("digits", model="mlp", batch_size=32), _drawn(1)
    assert isinstance(digits.train, Split)
    inputs, targets = digits.train.inputs, digits.train.targets
    assert isinstance(targets, Tensor)
    wrong = torch.rand(len(targets), generator=drawn) < 0.5
    some = torch.randint(10, targets.shape, generator=drawn)
    noise = Split(inputs, torch.where(wrong, some, targets))
    return replace(digits, name="noisy labels", train=noise)


def imbalanced() -> Task:
    """Return a task whose rare class, one row in twenty, weighs 19 times as much."""
    drawn = _drawn(2)
    targets = (torch.rand(3000, generator=drawn) < 0.05).long()
    inputs = torch.randn(3000, 20, generator=drawn)
    inputs[:, :4] += 0.8 * targets[:, None]
    weight = torch.tensor([1.0, 19.0])

    def loss(outputs: Tensor, classes: Tensor) -> Tensor:
        return cross_entropy(outputs, classes, weight=weight)

    return _task("imbalanced", lambda: _net(20, 2), inputs, targets, 2400, loss)


def regression() -> Task:
    """Return the diabetes data of scikit-learn, in units of their standard deviations."""
    bunch = load_diabetes()
    inputs, targets = (torch.tensor(x, dtype=torch.float32) for x in (bunch.data, bunch.target))
    inputs, targets = ((x - x.mean(0)) / x.std(0) for x in (inputs, targets))
    return _task("regression", lambda: _net(10, 1), inputs, targets.unsqueeze(1), 342, mse_loss)


def density() -> Task:
    """Return a regression by a normal density, whose loss ends far below zero."""
    drawn = _drawn(3)
    inputs, weights = torch.randn(2000, 6, generator=drawn), torch.randn(6, 1, generator=drawn)
    targets = 0.1 * (inputs @ weights) + 0.01 * torch.randn(2000, 1, generator=drawn)

    def loss(outputs: Tensor, values: Tensor) -> Tensor:
        mean, log_scale = outputs[:, :1], outputs[:, 1:]
        return (log_scale + ((values - mean) / log_scale.exp()) ** 2 / 2).mean()

    return _task("density", lambda: _net(6, 2), inputs, targets, 1500, loss)


class Transformer(nn.Module):
    """One causal layer over 32 characters: inputs `[B, 32]`, outputs `[B, 32, characters]`."""

    def __init__(self, characters: int) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(characters, 32), nn.Linear(32, characters)
        self.places = nn.Parameter(0.02 * torch.randn(_LINE, 32))
        self.layer = nn.TransformerEncoderLayer(
            32, 2, 64, dropout=0.0, batch_first=True, norm_first=True
        )
        self.norm = nn.LayerNorm(32)

    def forward(self, text: Tensor) -> Tensor:
        """Map characters to the logits of the next ones."""
        mask = torch.triu(torch.full((_LINE, _LINE), -math.inf), 1)
        logits: Tensor = self.head(
            self.norm(self.layer(self.embed(text) + self.places, src_mask=mask))
        )
        return logits


def tokens() -> Task:
    """Return a task of the next character of Python's own help texts."""
    text = "".join(topics[name] for name in sorted(topics))[:100_000].lower()
    known = {character: number for number, character in enumerate(sorted(set(text)))}
    whole = torch.tensor([known[character] for character in text])
    lines = whole[: len(whole) // (_LINE + 1) * (_LINE + 1)].view(-1, _LINE + 1)
    inputs, targets = lines[:, :-1].contiguous(), lines[:, 1:].contiguous()

    def loss(outputs: Tensor, characters: Tensor) -> Tensor:
        return cross_entropy(outputs.flatten(0, 1), characters.flatten())

    rows = len(lines) - 300
    return _task("tokens", lambda: Transformer(len(known)), inputs, targets, rows, loss)


TASKS: Mapping[str, Callable[[], Task]] = {
    "digits/mlp": lambda: load_task("digits", model="mlp"),
    "digits/cnn": lambda: load_task("digits", model="cnn"),
    "noisy": noisy_labels,
    "imbalanced": imbalanced,
    "regression": regression,
    "density": density,
    "tokens": tokens,
}


def best_of_grid(recipe: Recipe) -> tuple[float, dict[float, float]]:
    """Return the best rate, and the mean validation loss at each."""
    found: dict[float, float] = {}
    for rate in RATES:
        jobs = [
            recipe.job(Schedule("CosineAnnealingLR", rate), seed, STEPS)
            for seed in range(1000, 1000 + TRAININGS)
        ]
        curves = train(recipe, jobs)
        losses = [math.inf if c.diverged else c.final.val_loss for c in curves]
        found[rate] = statistics.fmean(losses)
    return min(found, key=found.__getitem__), found


def measure(name: str, optimizer: OptimizerSpec, studies: int) -> dict[str, Any]:
    """Return where the best rate of the grid lies in the ranges of several study seeds."""
    recipe = Recipe(TASKS[name](), optimizer, evals=3, diverge_factor=1e9)  # not finite
    best, grid = best_of_grid(recipe)
    tests = [run_range_test(recipe, seed) for seed in range(studies)]
    ranges = [test.chosen if test.falls else None for test in tests]
    usual = default_rates(optimizer.name, optimizer.args)
    return {
        "task": name,
        "optimizer": optimizer.name,
        "best": best,
        "grid": {f"{rate:.2g}": loss for rate, loss in grid.items()},
        "ranges": ranges,
        "inside": sum(r is not None and r[0] <= best <= r[1] for r in ranges),
        "untold": sum(r is None for r in ranges),
        "studies": studies,
        "seeds": [len(test.losses) for test in tests],
        "seconds": statistics.fmean(test.seconds for test in tests),
        "usual": usual is not None and usual.low <= best <= usual.high,
    }


def print_row(row: Mapping[str, Any]) -> None:
    """Print a task and an optimizer as a row of the table."""
    told = [r for r in row["ranges"] if r is not None]
    places = [math.log(row["best"] / low) / math.log(high / low) for low, high in told]
    lows = f"{min(r[0] for r in told):.2g} to {max(r[0] for r in told):.2g}" if told else ""
    highs = f"{min(r[1] for r in told):.2g} to {max(r[1] for r in told):.2g}" if told else ""
    cells = [
        row["task"],
        row["optimizer"],
        f"{row['best']:.2g}",
        lows,
        highs,
        f"{row['inside']} of {row['studies']}",
        f"{min(places):.0%} to {max(places):.0%}" if places else "",
        f"{statistics.fmean(row['seeds']):.1f}",
        "yes" if row["usual"] else "no",
    ]
    print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Print a table, or JSON; fail where fewer than 95 % of the ranges hold the best rate."""
    parser = argparse.ArgumentParser(prog="scripts/bench range", description=__doc__)
    parser.add_argument("tasks", nargs="*", default=list(TASKS), help=f"some of {', '.join(TASKS)}")
    parser.add_argument("--studies", type=int, default=STUDIES, help="study seeds of each (8)")
    parser.add_argument("--json", action="store_true", help="one JSON object, with every range")
    args = parser.parse_args()
    unknown = [name for name in args.tasks if name not in TASKS]
    if unknown:
        parser.error(f"unknown task {unknown[0]!r} (allowed: {', '.join(TASKS)})")
    rows, started = [], time.perf_counter()
    if not args.json:
        head = "task | optimizer | best rate | lowest of the range | highest | best inside | where"
        print(f"| {head} | seeds | in the usual range |\n|{'---|' * 9}", flush=True)
    with threads(1):
        for name in args.tasks:
            for optimizer in OPTIMIZERS:
                rows.append(measure(name, optimizer, args.studies))
                if not args.json:
                    print_row(rows[-1])
    inside, of = sum(row["inside"] for row in rows), sum(row["studies"] for row in rows)
    if args.json:
        print(json.dumps({"machine": platform.platform(), "cores": os.cpu_count(), "rows": rows}))
    else:
        minutes = (time.perf_counter() - started) / 60
        print(f"\n{inside} of {of} ranges hold the best rate of the grid ({minutes:.0f} minutes)")
    sys.exit(inside < ENOUGH * of)


if __name__ == "__main__":
    main()
