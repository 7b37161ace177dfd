"""Live searches at equal gradient steps, on several study seeds; what each had found on its way.

Every arm is a study of schedsearch itself, stopped when its optimizer steps are spent. What it
would have picked at a budget, its best finished trial by then, is trained on the fresh seeds of the
truth table; its regret is how much worse that is than the best truth of these families in the
table's pool (below zero where it is better).
"""

import json
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schedsearch import open_run, run_study
from schedsearch.config import StudyConfig, parse_config
from schedsearch.files import write_atomically
from schedsearch.schedules.schedule import Schedule
from schedsearch.search.events import Event, Trained
from schedsearch.seeds import derive_seed
from schedsearch.training.choice.probe import choose_trainer
from schedsearch.training.choice.trainer import Trainer
from schedsearch.training.choice.way import EngineWish
from search_bench.replay import CONFIRM_SEEDS
from search_bench.setups import Setup
from search_bench.table import FOLDER, FRESH_SEEDS, say, training_seed

BUDGET = 24  # full-run equivalents
FAMILIES = (
    *("Constant", "StepLR", "MultiStepLR", "ExponentialLR", "LinearLR", "CosineAnnealingLR"),
    *("OneCycleLR", "ReduceLROnPlateau"),
)
_MANY = 10_000  # trials: the budget ends a study before
_TRIALS = {"fashion": 128, "digits": 72}  # of schedsearch, whose rungs then take the budget


@dataclass(frozen=True)
class Arm:
    """A way of searching.

    Args:
        name: what it is called.
        study: the tables of its study file that say so.
    """

    name: str
    study: dict[str, Any]


@dataclass(frozen=True)
class Step:
    """A trial that has ended: the steps that all trials up to it took, and the best by then."""

    spent: int
    value: float
    schedule: str


def arms(setup: Setup) -> tuple[Arm, ...]:
    """Return what is compared; the last is schedsearch's default."""
    one = {"batch": 1}  # as a loop over study.optimize would have it
    hyperband = {
        "min_resource": setup.total_steps // 9,
        "max_resource": setup.total_steps,
        "reduction_factor": 3,
    }
    full = {"fidelity": {"kind": "full"}, "trials": _MANY}
    return (
        Arm("random", full | {"search": {"sampler": "random"}, "trials": BUDGET}),
        Arm("TPE", full | {"search": one}),
        Arm("TPE, MedianPruner", full | {"search": one | {"pruner": "MedianPruner"}}),
        Arm(
            "TPE, Hyperband over cut trainings",
            full | {"search": one | {"pruner": "HyperbandPruner", "pruner_args": hyperband}},
        ),
        Arm("schedsearch", {"trials": _TRIALS[setup.name]}),
    )


def config_of(setup: Setup, arm: Arm, seed: int) -> StudyConfig:
    """Return the study of an arm on a study seed."""
    alone = arm.study.get("search", {}).get("batch") == 1
    study: dict[str, Any] = {
        "name": "live",
        "task": setup.task,
        "families": list(FAMILIES),
        "seed": seed,
        "training": {
            "total_steps": setup.total_steps,
            "evals_per_run": setup.evals,
            "optimizer": setup.optimizer.name,
            "optimizer_args": dict(setup.optimizer.args),
            "threads": 1 if alone else 0,
            "engine": "reference" if alone else "auto",
        },
        "space": {"peak_lr": list(setup.peak_lr)},
        "confirmation": {"seeds": 0},
    }
    return parse_config(study | arm.study)


class _Spent(Exception):
    """The budget is spent."""


def search_live(setup: Setup, arm: Arm, seed: int) -> list[Step]:
    """Run an arm on a study seed until its budget is spent; what was run before is read."""
    file = _folder(setup) / f"{derive_seed(0, arm.name, json.dumps(arm.study)):08x}-{seed}.json"
    if not file.exists():
        say(f"{setup.name}: {arm.name}, study seed {seed}")
        rows = _search(config_of(setup, arm, seed), setup.total_steps * BUDGET)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(rows).encode())
    return [Step(**row) for row in json.loads(file.read_text())]


def _search(config: StudyConfig, budget: int) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        ended = 0

        def stop_when_spent(event: Event) -> None:
            nonlocal ended
            if isinstance(event, Trained):
                ended += 1
                if ended % 4 == 0 and _spent(Path(folder) / config.name) >= budget:
                    raise _Spent

        with suppress(_Spent):
            run_study(config, runs_dir=folder, device="cpu", report=False, on_event=stop_when_spent)
        run = open_run(Path(folder) / config.name)
        trials = run.trials().dropna(subset=["spent_steps"]).sort_values(["ended", "trial"])
        run.storage.engine.dispose()
    rows = zip(
        trials["spent_steps"].astype(int).cumsum().tolist(),
        trials["val_loss"].where(trials["state"] == "finished", np.inf).tolist(),
        trials["schedule"].tolist(),
        strict=True,
    )
    return [{"spent": s, "value": v, "schedule": schedule} for s, v, schedule in rows]


def _spent(folder: Path) -> int:
    run = open_run(folder)
    spent = int(run.trials()["spent_steps"].sum())
    run.storage.engine.dispose()
    return spent


def pick_at(steps: Sequence[Step], budget: float) -> str | None:
    """Return the schedule that is best when so many optimizer steps are spent; None before one."""
    seen = [step for step in steps if step.spent <= budget and np.isfinite(step.value)]
    return min(seen, key=lambda step: step.value).schedule if seen else None


def truths(setup: Setup, schedules: Sequence[str]) -> dict[str, float]:
    """Train schedules on the truth table's fresh seeds, and give the mean loss of each."""
    file = _folder(setup) / "truths.json"
    known: dict[str, float] = json.loads(file.read_text()) if file.exists() else {}
    new = [text for text in dict.fromkeys(schedules) if text not in known]
    if new:
        say(f"{setup.name}: {len(new)} picks on {FRESH_SEEDS - CONFIRM_SEEDS} fresh seeds")
        steps = len(new) * setup.total_steps * (FRESH_SEEDS - CONFIRM_SEEDS)
        wish = EngineWish(threads=1)
        trainer = choose_trainer(setup.recipe(), wish, waves=[(64, 1)], steps=steps)
        known |= dict(zip(new, _mean_losses(setup, new, trainer).tolist(), strict=True))
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(known).encode())
    return known


def _mean_losses(setup: Setup, texts: Sequence[str], trainer: Trainer) -> NDArray[np.float64]:
    seeds = [training_seed(i) for i in range(CONFIRM_SEEDS + 1, FRESH_SEEDS + 1)]
    losses = []
    for seed in seeds:
        schedules = [Schedule.from_json(text) for text in texts]
        jobs = [trainer.recipe.job(each, seed, setup.total_steps) for each in schedules]
        curves = trainer.train(jobs)
        losses.append([np.inf if c.diverged else c.final.val_loss for c in curves])
    return np.asarray(np.mean(losses, axis=0))


def _folder(setup: Setup) -> Path:
    return FOLDER / f"{setup.name}-live"
