"""Milliseconds of a step and run: a plain torch loop, the reference engine, the fused engine.

The plain loop is written out here and shares only the data with the package. All are timed in
turn, in one process; the best of the rounds counts. "reference" and "auto" are what the probe
chooses for a study of 1,000 trials of 600 steps; the plain loop runs with one thread and with all
cores, and its better time is the measure of the others. Memory is what a process of its own takes
on for 64 runs in the blocks and lanes that "auto" chose, not compiled, beside 64 copies of weights,
gradients and the optimizer's state, and the activations of one batch in each lane: once with glibc
told to give back at once what is freed, and once as it is, where it keeps some and is faster.
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

from schedsearch.horizon import evaluation_steps
from schedsearch.schedules import Schedule
from schedsearch.tasks import Task, load_task
from schedsearch.training import Engine, OptimizerSpec, choose_engine, threads
from schedsearch.training.template import Template

# steps of one measurement
TASKS = {"digits/mlp": 100, "digits/cnn": 30, "fashion_mnist/mlp": 30, "fashion_mnist/cnn": 8}
ROUNDS = 5
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
        if task.device.type == "cuda":
            torch.cuda.synchronize(task.device)

    return loop


def train_with(engine: Engine, task: Task, steps: int) -> float:
    """Train with an engine, as many runs as it stacks, and give the seconds of a run's training."""
    runs = min(engine.stack, max(2, engine.lanes) * (engine.block or engine.stack))
    schedules = [Schedule("CosineAnnealingLR", 0.01)] * runs
    curves = engine.train(
        task,
        schedules,
        total_steps=steps,
        seed=0,
        eval_steps=evaluation_steps(steps, 1),
        optimizer=SGD,
    )
    return sum(c.final.seconds for c in curves) / runs


def measure(name: str, device: str) -> dict[str, Any]:
    """Time all in turn, and give milliseconds of a step and run."""
    source, _, model = name.partition("/")
    task, steps = load_task(source, model=model, device=torch.device(device)), TASKS[name]
    chosen = {
        asked: choose_engine(task, SGD, asked=asked, waves=[(64, 1)], steps=600_000)
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
        for asked, engine in chosen.items():
            with threads(engine.threads):
                times[asked] = train_with(engine, task, steps)
        best = {k: min(v, best.get(k, v)) for k, v in times.items()}
    milliseconds = {k: 1e3 * v / steps for k, v in best.items()}
    least = min(v for k, v in milliseconds.items() if k.startswith("plain"))
    return {
        "task": name,
        "plain": least,
        **milliseconds,
        "ratio_reference": least / milliseconds["reference"],
        "ratio_auto": least / milliseconds["auto"],
        "chosen": {asked: engine.describe() for asked, engine in chosen.items()},
        "memory": memory_of(name, chosen["auto"]),
    }


def memory_of(name: str, engine: Engine) -> dict[str, float]:
    """Measure in processes of their own, for 64 runs at once, not compiled."""
    command = [sys.executable, __file__, "--memory", name]
    command += [str(engine.block or 1), str(engine.lanes)]
    found: dict[str, float] = {}
    for part, settings in (("kept", {}), ("took", {"MALLOC_TRIM_THRESHOLD_": "131072"})):
        environment = os.environ | settings
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        grown, found["needs_mb"] = json.loads(done.stdout)
        found[f"{part}_mb"] = grown
    return found


def print_memory(name: str, block: int, lanes: int) -> None:
    """Train 64 runs, and print how far the process grew, and what the runs themselves need."""
    source, _, model = name.partition("/")
    task, runs = load_task(source, model=model), 64
    weights = sum(p.numel() * p.element_size() for p in task.model(0).parameters())
    template = Template(task)
    activations = (template.run_bytes() - 6 * weights) / 2
    train_with(Engine("fused", stack=2, block=1, lanes=lanes), task, 2)  # torch's own
    process, peak, done = psutil.Process(), 0, threading.Event()
    before = process.memory_info().rss

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, process.memory_info().rss)

    thread = threading.Thread(target=watch)
    thread.start()
    Engine("fused", stack=runs, block=block, lanes=lanes).train(
        task,
        [Schedule("Constant", 0.01)] * runs,
        total_steps=6,
        seed=0,
        eval_steps=(6,),
        optimizer=SGD,
    )
    done.set()
    thread.join()
    needs = runs * 3 * weights + block * lanes * activations
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
            print("milliseconds of a step and run, and how many times the plain loop's speed\n")
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
