"""Milliseconds of a step and job: a plain torch loop, the reference engine, the fused engine.

The plain loop is written out here and shares only the data with the package. All are timed in
turn, in one process; the best of the rounds counts. "reference" and "auto" are what the probe
chooses for a study of 1,000 trials of 600 steps. The plain loop is timed with one thread and with
all cores; the others are compared with its better time. Memory is how much a process of its own
grows with 64 jobs in the blocks and lanes that "auto" chose, not compiled; beside it stands what
64 copies of weights, gradients and the optimizer's state, and the activations of one batch in each
lane, need. It is measured twice: with glibc told to return freed memory at once, and with glibc's
defaults, which keep some memory and are faster.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command `schedsearch` has it

import psutil
import torch

from schedsearch.schedules.schedule import Schedule
from schedsearch.tasks.registry import load_task
from schedsearch.tasks.split import Split
from schedsearch.tasks.task import Task
from schedsearch.training.choice.probe import choose_trainer
from schedsearch.training.choice.trainer import Trainer
from schedsearch.training.choice.way import EngineWish, Way
from schedsearch.training.device import threads
from schedsearch.training.fused.flat_model import Template
from schedsearch.training.optimizers import OptimizerSpec
from schedsearch.training.recipe import Recipe

# steps of one measurement
TASKS = {"digits/mlp": 100, "digits/cnn": 30, "fashion_mnist/mlp": 30, "fashion_mnist/cnn": 8}
ROUNDS = 5
SGD = OptimizerSpec("SGD", {"momentum": 0.9})


def plain(task: Task, steps: int) -> Callable[[], None]:
    """Return the loop that anyone would write, with CosineAnnealingLR."""
    assert isinstance(task.train, Split)
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
        if task.device.type == "cuda":
            torch.cuda.synchronize(task.device)

    return loop


def train_with(trainer: Trainer, steps: int) -> float:
    """Train as many jobs as the trainer stacks, and return the seconds of a job's training."""
    way = trainer.way
    count = min(way.stack, max(2, way.lanes) * way.size)
    schedule = Schedule("CosineAnnealingLR", 0.01)
    curves = trainer.train([trainer.recipe.job(schedule, 0, steps) for _ in range(count)])
    return sum(c.final.seconds for c in curves) / count


def measure(name: str, device: str) -> dict[str, Any]:
    """Time all in turn, and return milliseconds of a step and job."""
    source, _, model = name.partition("/")
    task, steps = load_task(source, model=model, device=torch.device(device)), TASKS[name]
    recipe = Recipe(task, SGD, evals=1)
    chosen = {
        asked: choose_trainer(recipe, EngineWish(asked), waves=[(64, 1)], steps=600_000)
        for asked in ("reference", "auto")
    }
    loop, cores = plain(task, steps), psutil.cpu_count(logical=False) or 1
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        times: dict[str, float] = {}
        for count in sorted({1, cores}):
            with threads(count):
                started = time.perf_counter()
                loop()
                times[f"plain, {count} threads"] = time.perf_counter() - started
        for asked, trainer in chosen.items():
            with threads(trainer.way.threads):
                times[asked] = train_with(trainer, steps)
        best = {k: min(v, best.get(k, v)) for k, v in times.items()}
    milliseconds = {k: 1e3 * v / steps for k, v in best.items()}
    least = min(v for k, v in milliseconds.items() if k.startswith("plain"))
    return {
        "task": name,
        "plain": least,
        **milliseconds,
        "ratio_reference": least / milliseconds["reference"],
        "ratio_auto": least / milliseconds["auto"],
        "chosen": {asked: trainer.way.describe() for asked, trainer in chosen.items()},
        "memory": memory_of(name, chosen["auto"].way),
    }


def memory_of(name: str, way: Way) -> dict[str, float]:
    """Measure in processes of their own, for 64 jobs at once, not compiled."""
    command = [sys.executable, __file__, "--memory", name]
    command += [str(way.block or 1), str(way.lanes)]
    found: dict[str, float] = {}
    for part, settings in (("kept", {}), ("took", {"MALLOC_TRIM_THRESHOLD_": "131072"})):
        environment = os.environ | settings
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        grown, found["needs_mb"] = json.loads(done.stdout)
        found[f"{part}_mb"] = grown
    return found


def print_memory(name: str, block: int, lanes: int) -> None:
    """Train 64 jobs, and print how far the process grew, and what the jobs themselves need."""
    source, _, model = name.partition("/")
    task, count = load_task(source, model=model), 64
    recipe = Recipe(task, SGD, evals=1)
    weights = sum(p.numel() * p.element_size() for p in task.model(0).parameters())
    template = Template(recipe)
    activations = (template.job_bytes() - 6 * weights) / 2
    train_with(Trainer(Way("fused", stack=2, block=1, lanes=lanes), recipe), 2)  # torch's own
    process, peak, done = psutil.Process(), 0, threading.Event()
    before = process.memory_info().rss

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, process.memory_info().rss)

    thread = threading.Thread(target=watch)
    thread.start()
    jobs = [recipe.job(Schedule("Constant", 0.01), 0, 6) for _ in range(count)]
    Trainer(Way("fused", stack=count, block=block, lanes=lanes), recipe).train(jobs)
    done.set()
    thread.join()
    needs = count * 3 * weights + block * lanes * activations
    print(json.dumps([(peak - before) / 1e6, needs / 1e6]))


def main() -> None:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(prog="scripts/bench engine", description=__doc__)
    parser.add_argument("tasks", nargs="*", default=list(TASKS), help=f"some of {', '.join(TASKS)}")
    parser.add_argument("--json", action="store_true", help="one JSON object, with every choice")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--memory", metavar="TASK", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.memory:
        name, block, lanes = args.memory
        print_memory(name, int(block), int(lanes))
        return
    unknown = [name for name in args.tasks if name not in TASKS]
    if unknown:
        parser.error(f"unknown task {unknown[0]!r} (allowed: {', '.join(TASKS)})")
    rows = []
    for name in args.tasks:
        rows.append(measure(name, args.device))
        if not args.json and len(rows) == 1:
            print(f"{os.cpu_count()} cores ({platform.machine()}), torch {torch.__version__}:")
            print("milliseconds of a step and job, and how many times the plain loop's speed\n")
            print("| task | plain loop | reference engine | `auto` | what `auto` chose | memory |")
            print("|---|---|---|---|---|---|")
        if not args.json:
            print_row(rows[-1])
    if args.json:
        print(json.dumps({"machine": platform.platform(), "cores": os.cpu_count(), "rows": rows}))


def print_row(row: dict[str, Any]) -> None:
    """Print a task as a row of the table."""
    auto, memory = row["chosen"]["auto"], row["memory"]
    chosen = f"{auto['kind']}" + (f", blocks of {auto['block']}" if auto["block"] else "")
    chosen += ", compiled" * auto["compiled"] + ", channels last" * auto["channels_last"]
    cells = [
        row["task"],
        f"{row['plain']:.3f}",
        f"{row['reference']:.3f} ({row['ratio_reference']:.2f}x)",
        f"{row['auto']:.3f} ({row['ratio_auto']:.2f}x)",
        f"{chosen}, {auto['threads'] * auto['lanes']} threads",
        f"{memory['took_mb']:.0f} MB of {memory['needs_mb']:.0f} ({memory['kept_mb']:.0f})",
    ]
    print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
