"""Runs made by hand: trials with schedules and curves, without any training."""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState

from schedsearch import FAMILIES, Schedule, Warmup
from schedsearch.config import parse_config
from schedsearch.confirmation.claim import conclude_from
from schedsearch.confirmation.record import FINALIST, Concluded, Finalist
from schedsearch.objective import OBJECTIVES, find_objective
from schedsearch.report.snapshot import Snapshot
from schedsearch.store.columns import CURVES, RUNGS, TRIALS, measured_columns
from schedsearch.store.frames import curves_frame, rungs_frame, trials_frame
from schedsearch.store.pairs import SEED
from schedsearch.store.records import PREFIX, SCHEDULE

NAMES = tuple(family.name for family in FAMILIES)
LOW, HIGH = 0.003, 0.3
MEASURED: dict[str, Any] = {
    "objectives": [objective.to_list() for objective in OBJECTIVES],
    "target": ["val_accuracy", 0.8],
}
STATES = {"finished": TrialState.COMPLETE, "diverged": TrialState.COMPLETE}


def made_trial(
    number: int,
    family: str,
    *,
    peak_lr: float = 0.1,
    loss: float = 0.5,
    state: str = "finished",
    steps: int = 600,
    evals: int = 20,
    families: Sequence[str] = NAMES,
    rungs: Sequence[tuple[int, float]] = (),
    warmup: Warmup | None = None,
) -> FrozenTrial:
    """Make a trial that has ended, with a curve that falls to its loss."""
    schedule = Schedule(family, peak_lr, {}, warmup, evals=evals)
    at = [steps * (i + 1) // evals for i in range(evals)]
    losses = [loss + (2.0 - min(loss, 1.9)) * math.exp(-6.0 * s / steps) for s in at]
    if state == "diverged":
        losses[-1] = math.inf
    else:
        losses[-1] = loss
    accuracy = [max(0.0, 1 - x / 4) for x in losses]
    columns: dict[str, list[Any]] = {
        "step": at,
        "lr": [peak_lr] * evals,
        "train_loss": [x * 0.8 for x in losses],
        "val_loss": losses,
        "val_accuracy": accuracy,
        "seconds": [s / 1000 for s in at],
    }
    result = {
        "diverged": state == "diverged",
        "val_loss": losses[-1],
        "val_accuracy": accuracy[-1],
        "best_val_loss": min(losses),
        "best_val_accuracy": max(accuracy),
        "train_loss": columns["train_loss"][-1],
        "initial_loss": 2.3,
        "steps": steps,
        "horizon": steps,
        "spent_steps": steps,
        "steps_to_target": next((s for s, a in zip(at, accuracy, strict=True) if a >= 0.8), None),
        "seconds": steps / 1000,
        "rungs": [
            {"horizon": horizon, "val_loss": value, "val_accuracy": 1 - value / 4}
            for horizon, value in rungs
        ],
    }
    distributions: dict[str, BaseDistribution] = {
        "family": CategoricalDistribution(tuple(families)),
        "peak_lr": FloatDistribution(LOW, HIGH, log=True),
        "warmup": CategoricalDistribution(("none", "linear")),
    }
    began = datetime(2026, 1, 1) + timedelta(seconds=number)
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=STATES.get(state, TrialState.PRUNED),
        value=None,
        values=[9.0 if state == "diverged" else loss],
        datetime_start=began,
        datetime_complete=began + timedelta(seconds=1),
        params={"family": family, "peak_lr": peak_lr, "warmup": ("none", "linear")[number % 2]},
        distributions=distributions,
        user_attrs={},
        system_attrs={
            SCHEDULE: schedule.to_dict(),
            f"{PREFIX}result": result,
            f"{PREFIX}curve:0": columns,
        },
        intermediate_values={},
    )


SEEDS = (11, 12, 13, 14, 15, 16, 17, 18)


def confirming(
    finalists: Sequence[FrozenTrial | Schedule],
    losses: Mapping[int, Sequence[float]],
    seeds: Sequence[int] = SEEDS,
) -> tuple[Concluded, list[FrozenTrial]]:
    """Make a confirmation of trials and of tuned schedules.

    Args:
        finalists: who takes part.
        losses: what each reached on each seed, by its place; infinite where it diverged.
        seeds: the fresh seeds.
    """
    basis: list[Finalist] = []
    made: list[FrozenTrial] = []
    for place, each in enumerate(finalists):
        if isinstance(each, Schedule):
            schedule, finalist = each, Finalist(each, (each.family,), None, 0.1)
        else:
            schedule = Schedule.from_dict(each.system_attrs[SCHEDULE])
            finalist = Finalist(schedule, (FINALIST,), each.number, 0.1)
        basis.append(finalist)
        for seed, loss in zip(seeds, losses[place], strict=True):
            state = "finished" if math.isfinite(loss) else "diverged"
            trial = made_trial(
                len(made),
                schedule.family,
                loss=loss if state == "finished" else 0.1,
                state=state,
                steps=600 if state == "finished" else 300,
                evals=20 if state == "finished" else 10,
            )
            trial.system_attrs |= {SCHEDULE: schedule.to_dict(), SEED: seed}
            made.append(trial)
    tried = sum(not isinstance(each, Schedule) for each in finalists)
    looks = (len(seeds),)
    return Concluded(tuple(basis), tuple(seeds), tried, 60, 0, "welch", looks), made


def made_run(
    trials: Sequence[FrozenTrial],
    name: str = "made",
    confirmation: tuple[Concluded, list[FrozenTrial]] | None = None,
    *,
    ranks: bool = False,
    **changes: Any,
) -> Snapshot:
    """Make a run of trials.

    Args:
        trials: they.
        name: the run's name.
        confirmation: what was confirmed; see `confirming`.
        ranks: whether each family has a study of its own, with numbers from zero.
        changes: what the study file says.
    """
    studies = [(name, list(trials))]
    if ranks:
        groups: dict[str, list[FrozenTrial]] = {}
        for trial in trials:
            groups.setdefault(f"{name}/{trial.params['family']}", []).append(trial)
        for group in groups.values():
            for number, trial in enumerate(group):
                trial.number = number
        studies = list(groups.items())
    content = {"name": name, "task": "digits", "trials": max(1, len(trials)), **changes}
    attributes = {
        "identity": {"model": "mlp", "space.peak_lr": [LOW, HIGH]},
        "fingerprint": "0123456789abcdef",
        "seeds": {"study": 0, "training": 1},
        "provenance": {
            **{"python": "3.11", "platform": "Linux", "host": "here", "device": "cpu"},
            **{"device_name": "", "commit": None, "versions": {"torch": "2.9"}},
        },
        **MEASURED,
    }
    frames = (
        trials_frame(studies, measured_columns(TRIALS, OBJECTIVES)),
        curves_frame(studies, measured_columns(CURVES, OBJECTIVES)),
        rungs_frame(studies, measured_columns(RUNGS, OBJECTIVES)),
    )
    stored = {(study, trial.number): trial for study, every in studies for trial in every}
    config, confirmed = parse_config(content), None
    held: list[FrozenTrial] = []
    if confirmation is not None:
        basis, held = confirmation
        confirmed = conclude_from(basis, held, find_objective(config.search.objective))
    return Snapshot(name, config, attributes, *frames, confirmed, stored, held)


def many(count: int, seed: int = 0) -> list[FrozenTrial]:
    """Make trials of all families: the best rate is 0.1, one in twelve diverged, one pruned."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        family = NAMES[int(rng.integers(len(NAMES)))]
        peak_lr = float(LOW * (HIGH / LOW) ** rng.random())
        loss = 0.1 + 0.2 * math.log10(peak_lr / 0.1) ** 2 + 0.05 * float(rng.random())
        state = ("diverged", "pruned", *["finished"] * 10)[number % 12]
        made.append(made_trial(number, family, peak_lr=peak_lr, loss=loss, state=state))
    return made


def confirmed_run(count: int = 60) -> Snapshot:
    """Make a run of trials whose four best, and a tuned baseline, were confirmed on eight seeds.

    The best diverged on two seeds.
    """
    trials = many(count)
    ended = [t for t in trials if t.state == TrialState.COMPLETE and t.values[0] < 9.0]
    best = sorted(ended, key=lambda t: t.values[0])[:4]
    losses = {i: [0.1 + i / 50 + s / 100 for s in range(8)] for i in range(5)}
    losses[0][2:4] = [math.inf, math.inf]
    return made_run(trials, "made", confirming([*best, Schedule("SWALR", 0.2)], losses))


def embedded(page: str) -> dict[str, Any]:
    """Return the figures that a report holds."""
    inside = page.partition('id="drawn">')[2].partition("</script>")[0]
    found: dict[str, Any] = json.loads(inside)
    return found
