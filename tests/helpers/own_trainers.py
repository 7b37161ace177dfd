"""Trainers of a user's own: scripts without torch, and a source that hands out jobs."""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from schedsearch.schedules.schedule import Schedule
from schedsearch.tasks.metrics import Metric
from schedsearch.training.curve import Evaluation
from schedsearch.training.own.failures import Failures
from schedsearch.training.own.task import OwnTask, task_of_command
from schedsearch.training.own.trainer import CommandTrainer
from schedsearch.training.recipe import Ended, Job

ARGUMENTS = ["{schedule}", "{total_steps}", "{seed}"]
ACCURACY = Metric("accuracy", "maximize", lambda outputs, targets: 0.0)

TRAIN = Path(__file__).parents[2] / "studies" / "train.py"

# Four trainings of the whole horizon, without a confirmation.
OWN: dict[str, Any] = {
    "name": "own",
    "families": ["StepLR", "CosineAnnealingLR"],
    "trials": 4,
    "metrics": {"accuracy": "maximize"},
    "training": {"total_steps": 60, "evals_per_run": 3},
    "space": {"peak_lr": [0.01, 1.0]},
    "search": {"sampler": "random", "batch": 2},
    "fidelity": {"kind": "full"},
    "confirmation": {"seeds": 0},
}
WORDS = ["python", str(TRAIN), "--schedule", "{schedule}", "--steps", "{total_steps}"]
WORDS += ["--seed", "{seed}"]

# What a script begins with: it has its arguments, and `say` prints an evaluation.
HEAD = """
import json, os, sys, time
schedule, total_steps, seed = json.load(open(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3])

def say(step, val_loss=None, **others):
    loss = schedule["peak_lr"] / step if val_loss is None else val_loss
    print(json.dumps({"step": step, "val_loss": loss, **others}))

"""


class Jobs:
    """A source of given jobs; keeps what it is told."""

    def __init__(
        self, jobs: Sequence[Job], stop: Callable[[Job, Evaluation], bool] = lambda job, row: False
    ) -> None:
        self.waiting, self.stop = list(jobs), stop
        self.rows: list[tuple[Job, Evaluation]] = []
        self.over: list[Ended] = []
        self.notes: list[str] = []
        self._told: set[str] = set()

    def ask(self, room: int) -> list[Job]:
        handed, self.waiting = self.waiting[:room], self.waiting[room:]
        return handed

    def evaluated(self, job: Job, row: Evaluation) -> bool:
        self.rows.append((job, row))
        return self.stop(job, row)

    def tell(self, key: str, text: str) -> None:
        if key not in self._told:
            self._told.add(key)
            self.notes.append(text)

    def ended(self, ended: Ended) -> None:
        self.over.append(ended)


def job(rate: float = 0.1, steps: int = 60, seed: int = 1, **given: Any) -> Job:
    return Job(Schedule("StepLR", rate), seed, steps, (steps // 2, steps), **given)


class Bench:
    """Trains jobs with a script, and keeps what was told."""

    def __init__(self, folder: Path, script: str, *arguments: str, **given: Any) -> None:
        self.script = folder / "train.py"
        self.script.write_text(HEAD + script)
        self.failed = folder / "failed"
        words = [sys.executable, "-S", str(self.script), *ARGUMENTS, *arguments]
        self.task: OwnTask = task_of_command(words, partial(OwnTask, **given))

    def run(self, source: Jobs, *, proven: bool = False) -> Jobs:
        self.notes = source.notes
        failures = Failures(self.failed, proven=proven, note=source.notes.append)
        CommandTrainer(self.task, failures, source.tell).run(source)
        return source
