"""How long commands that only read take, as whole processes, on a run of 1,000 trials.

The run is made up: real schedules of every family, with invented curves of 20 evaluations. Each
command is started several times; the table shows the fastest and the median time in seconds.
"""

import argparse
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from schedsearch.compat import study_id_of
from schedsearch.config import parse_config
from schedsearch.schedules.space import Space, make_space, suggest_schedule
from schedsearch.store.connect import open_storage
from schedsearch.store.leases import ATTEMPT, LEASE, OWNER
from schedsearch.store.place import place_run
from schedsearch.store.records import PREFIX, SCHEDULE, result_of, system_attrs, user_attrs
from schedsearch.store.writing import Finished, Sampled, Writer, writer_of
from schedsearch.tasks.registry import load_task
from schedsearch.training.curve import Curve, Evaluation
from schedsearch.training.optimizers import OptimizerSpec
from schedsearch.training.recipe import Recipe

ROOT = Path(__file__).resolve().parent.parent
STEPS, EVALUATIONS = 600, 20
BUILD = """
import torch, schedsearch
schedule = schedsearch.load_schedule("schedule.json")
schedule.build(torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0), 600)
"""


def make_run(folder: Path, trials: int) -> None:
    """Store a run whose trials were never trained, and one of its schedules in a file."""
    config = parse_config({"name": "made", "task": "digits", "trials": trials})
    place = place_run("made", folder, None)
    storage = open_storage(place.url)
    study = optuna.create_study(storage=storage, study_name=place.name)
    versions = {"torch": "2", "optuna": "5"}
    stored: dict[str, Any] = {
        "run": place.name,
        "config": config.model_dump(mode="json"),
        "provenance": {"device": "cpu", "host": "here", "commit": None, "versions": versions},
        "fingerprint": "0123456789abcdef",
        "seeds": {"study": 0, "training": 1},
        "identity": {"model": "mlp", "space.peak_lr": [0.003, 0.3]},
    }
    for key, value in stored.items():
        storage.set_study_system_attr(study_id_of(study), f"{PREFIX}{key}", value)
    space = _space()
    writer, draw = writer_of(storage), random.Random(0)
    for first in range(0, trials, 100):
        _write(writer, study_id_of(study), space, draw, min(100, trials - first))
    storage.engine.dispose()


def _space() -> Space:
    return make_space(
        "all",
        peak_lr=(0.003, 0.3),
        warmup="optional",
        warmup_frac=(0.02, 0.1),
        warmup_start_factor=0.1,
        step_unit="step",
        evals=EVALUATIONS,
    )


def _write(writer: Writer, study_id: int, space: Space, draw: random.Random, count: int) -> None:
    recipe = Recipe(load_task("digits"), OptimizerSpec(), EVALUATIONS)
    attrs = {OWNER: "bench", LEASE: 0.0, ATTEMPT: 1}
    created = writer.create_running(study_id, attrs, count, 10**9)
    drawn = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=draw.randrange(2**31)))
    sampled, finished = [], []
    for trial_id, _ in created:
        trial = drawn.ask()
        schedule = suggest_schedule(trial, space)
        own = {SCHEDULE: schedule.to_dict()}
        sampled.append(Sampled(trial_id, trial.params, trial.distributions, own))
        curve = _curve(draw)
        result = result_of(curve, recipe)
        result |= {"horizon": STEPS, "spent_steps": STEPS}
        result |= {"rungs": [{"horizon": STEPS, **curve.final.values}]}
        ended = (TrialState.COMPLETE, curve.final.val_loss)
        stored = (system_attrs(curve, result), user_attrs(result))
        finished.append(Finished(trial_id, *ended, *stored))
    writer.write_sampled(sampled, "bench")
    writer.write_results(finished, "bench")


def _curve(draw: random.Random) -> Curve:
    """Invent a curve that falls to a value of its own."""
    least, rows = draw.uniform(0.05, 0.5), []
    for i in range(1, EVALUATIONS + 1):
        loss = least + 2.3 * math.exp(-5 * i / EVALUATIONS) * draw.uniform(0.9, 1.1)
        step = STEPS * i // EVALUATIONS
        metrics = {"accuracy": math.exp(-loss)}
        rows.append(Evaluation(step, 0.1, loss * 0.9, loss, step * 0.001, metrics))
    return Curve(tuple(rows), {"val_loss": 2.3, "val_accuracy": 0.1})


def commands(runs: Path) -> Mapping[str, list[str]]:
    """Return what is timed: a name, and the arguments of the interpreter."""
    tool = ["-m", "schedsearch"]
    run = str(runs / "made")
    return {
        "python -c pass": ["-c", "pass"],
        "import schedsearch": ["-c", "import schedsearch"],
        "--help": [*tool, "--help"],
        "list": [*tool, "list", "--runs-dir", str(runs)],
        "status": [*tool, "status", run],
        "trials": [*tool, "trials", run],
        "curves": [*tool, "curves", run],
        "import torch": ["-c", "import torch"],
        "load_schedule(...).build(...)": ["-c", BUILD],
    }


def measure(arguments: list[str], folder: Path, rounds: int) -> Iterator[float]:
    """Start a process several times, after one that warms the disk's cache; yield its seconds."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    for i in range(rounds + 1):
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - started
        if done.returncode:
            sys.exit(f"{' '.join(arguments)} failed: {done.stderr[-2000:]}")
        if i:
            yield seconds


def main() -> None:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(prog="scripts/bench start", description=__doc__)
    parser.add_argument("--trials", type=int, default=1000, help="trials of the run (1000)")
    parser.add_argument("--rounds", type=int, default=5, help="starts of each command (5)")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    args = parser.parse_args()
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_run(folder / "runs", args.trials)
        _write_schedule(folder / "schedule.json")
        for name, arguments in commands(folder / "runs").items():
            seconds = list(measure(arguments, folder, args.rounds))
            found[name] = {"fastest": min(seconds), "median": statistics.median(seconds)}
            if not args.json:
                row = found[name]
                print(f"{name:<30} {row['fastest']:6.2f} s {row['median']:6.2f} s", flush=True)
    if args.json:
        print(json.dumps({"trials": args.trials, "rounds": args.rounds, "seconds": found}))


def _write_schedule(path: Path) -> None:
    trial: Any = optuna.create_study().ask()
    path.write_text(suggest_schedule(trial, _space()).to_json())


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    main()
