"""Milliseconds of a step and run: a plain torch loop, the reference engine, the fused engine.

The plain loop is written out here and shares only the data with the package. The three are timed
in turn, in one process, with the same number of threads; the best of the rounds counts.
"""

import argparse
import json
import os
import platform
from collections.abc import Callable
from time import perf_counter
from typing import Any

import torch

from schedsearch.horizon import evaluation_steps
from schedsearch.schedules import Schedule
from schedsearch.tasks import Task, load_task
from schedsearch.training import OptimizerSpec, train
from schedsearch.training.fused import train_fused

TASKS = ("digits/mlp", "digits/cnn", "fashion_mnist/mlp", "fashion_mnist/cnn")
ROUNDS = 4
SGD = OptimizerSpec("SGD", {"momentum": 0.9})


def plain(task: Task, steps: int) -> Callable[[], None]:
    """Make the loop that anyone would write: CosineAnnealingLR, batches cut from a permutation."""
    inputs, targets, size = task.train.inputs, task.train.targets, task.batch_size

    def loop() -> None:
        model = task.make_model().to(task.device)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        done = 0
        while done < steps:
            order = torch.randperm(len(targets)).to(task.device)
            for i in range(0, len(order) - size + 1, size):
                rows = order[i : i + size]
                loss = torch.nn.functional.cross_entropy(model(inputs[rows]), targets[rows])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                scheduler.step()
                done += 1
                if done == steps:
                    return

    return loop


def engine(task: Task, steps: int, stack: int) -> Callable[[], float]:
    """Train `stack` runs and give the seconds of their training, evaluations left out."""
    schedules = [Schedule("CosineAnnealingLR", 0.01)] * stack
    settings: dict[str, Any] = {
        "total_steps": steps,
        "seed": 0,
        "eval_steps": evaluation_steps(steps, 1),
        "optimizer": SGD,
    }
    if stack == 1:
        return lambda: train(task, schedules, **settings)[0].final.seconds
    return lambda: sum(
        c.final.seconds for c in train_fused(task, schedules, stack=stack, **settings)
    )


def measure(name: str, threads: int) -> dict[str, Any]:
    """Time the three in turn, and give milliseconds of a step and run."""
    torch.set_num_threads(threads)
    source, _, model = name.partition("/")
    task = load_task(source, model=model)
    steps = 60 if name == "digits/mlp" else 20 if name != "fashion_mnist/cnn" else 6
    loop = plain(task, steps)
    runs = {f"fused K={k}": engine(task, steps, k) for k in (8, 32, 64)}
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        started = perf_counter()
        loop()
        times = {"plain": perf_counter() - started, "reference": engine(task, steps, 1)()}
        times |= {label: run() / int(label.partition("=")[2]) for label, run in runs.items()}
        best = {k: min(v, best.get(k, v)) for k, v in times.items()}
    return {
        "task": name,
        "threads": threads,
        **{k: 1e3 * v / steps for k, v in best.items()},
    }


def main() -> None:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="*", default=TASKS, help=f"some of {', '.join(TASKS)}")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    rows = [measure(name, args.threads) for name in args.tasks]
    if args.json:
        print(json.dumps({"machine": platform.platform(), "cores": os.cpu_count(), "rows": rows}))
        return
    print(f"{os.cpu_count()} cores, torch {torch.__version__}; ms a step and run (ratio to plain)")
    labels = [label for label in rows[0] if label not in ("task", "threads")]
    print("| task | " + " | ".join(labels) + " |")
    print("|---" * (len(labels) + 1) + "|")
    for row in rows:
        ratio = {label: row["plain"] / row[label] for label in labels}
        cells = (f"{row[label]:.3f} ({ratio[label]:.1f}x)" for label in labels)
        print(f"| {row['task']} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
