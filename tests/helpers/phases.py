"""The phases of a study, each with a small study that comes through it, and how to stop in it."""

import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from optuna.trial import TrialState

from schedsearch import Run
from schedsearch.confirmation.read import confirmation_frame
from schedsearch.launch import run_study
from schedsearch.search.events import AtRung, Confirming, Event, Trained
from schedsearch.store.leases import ATTEMPT
from schedsearch.store.pairs import pair_of
from schedsearch.store.place import study_ids

_SHORT = {"total_steps": 60, "evals_per_run": 4, "engine": "reference", "threads": 1}
_RUNGS = {"kind": "squeeze", "rungs": [20], "eta": 2, "min_steps": 10, "checks": 0}
_CONFIRMED = {"finalists": 2, "seeds": 4}
_STUDY: dict[str, Any] = {
    "families": ["Constant", "StepLR", "ExponentialLR"],
    "trials": 6,
    "training": _SHORT,
    "search": {"batch": 4, "sampler": "random"},
    "space": {"warmup": "none"},
}


@dataclass(frozen=True)
class Phase:
    """A phase of a study.

    Args:
        name: what it is called here.
        study: the tables of a small study that comes through it.
        within: whether an event is told in the middle of the phase.
        same: whether a process that goes on does exactly what the first would have done. In a rung
            it does not: who was left is compared with new trials, not with who was stopped.
    """

    name: str
    study: Mapping[str, Any]
    within: Callable[[Event], bool]
    same: bool = True


def _trained(number: int) -> Callable[[Event], bool]:
    return lambda event: isinstance(event, Trained) and event.finished == number


def _done(what: str, number: int) -> Callable[[Event], bool]:
    return lambda event: (
        isinstance(event, Confirming) and event.what == what and event.done == number
    )


PHASES = (
    Phase("search", _STUDY, _trained(3)),
    Phase(
        "a rung",
        _STUDY | {"fidelity": _RUNGS},
        lambda event: isinstance(event, AtRung) and event.rung == 2,
        same=False,
    ),
    Phase("rank", _STUDY | {"mode": "rank", "fidelity": _RUNGS}, _trained(4)),
    Phase("checks", _STUDY | {"fidelity": _RUNGS | {"checks": 5}}, _trained(2)),
    Phase("pilot", _STUDY | {"fidelity": _RUNGS | {"kind": "auto", "checks": 8}}, _trained(3)),
    Phase("tuning", _STUDY | {"confirmation": _CONFIRMED}, _done("tuning the baselines", 5)),
    Phase("confirming", _STUDY | {"confirmation": _CONFIRMED}, _done("confirming", 3)),
    Phase("scores", _STUDY | {"confirmation": _CONFIRMED}, _done("measuring on the test split", 1)),
)


def run_and_die(config: Any, runs_dir: str, phase: int) -> None:
    """Run a study, and end this process with `kill -9` in the middle of a phase."""

    def die(event: Event) -> None:
        if PHASES[phase].within(event):
            os.kill(os.getpid(), signal.SIGKILL)

    run_study(config, runs_dir=Path(runs_dir), device="cpu", report=False, on_event=die)


def everything(run: Run) -> dict[str, pd.DataFrame]:
    """Return all that a run found, without what differs between two runs of one study."""
    differ = ["study", "attempt", "owner", "started", "ended", "seconds"]
    tests = confirmation_frame(run)
    return {
        "trials": run.trials().drop(columns=differ),
        "checks": run.checks().drop(columns=differ),
        "rungs": run.rungs().drop(columns=["study"]),
        "confirmation": tests,
    }


def check_same(
    phase: Phase, found: dict[str, pd.DataFrame], expected: dict[str, pd.DataFrame]
) -> None:
    """Check that an interrupted study found what an undisturbed one did."""
    for name, frame in expected.items():
        one, other = found[name], frame
        if not phase.same and name == "trials":
            chosen = ["trial", "family", "peak_lr", "warmup_frac", "params", "schedule"]
            one, other = one[chosen], other[chosen]
        if not phase.same and name == "rungs":
            keys = ["trial", "horizon"]
            both = one[keys].merge(other[keys])
            one, other = both.merge(one), both.merge(other)
            assert len(both) >= 6, "each trial was trained at the first rung"
        pd.testing.assert_frame_equal(one, other, check_exact=True, obj=name)


def check_whole(run: Run) -> None:
    """Check all studies of a run: nothing is left over, lost, or there twice."""
    for name, study_id in study_ids(run.storage, run.name).items():
        trials = run.storage.get_all_trials(study_id)
        states = {trial.state for trial in trials}
        assert states <= {TrialState.COMPLETE, TrialState.PRUNED}, (name, states)
        assert [t.number for t in sorted(trials, key=lambda t: t.number)] == list(
            range(len(trials))
        )
        assert all(trial.user_attrs[ATTEMPT] <= 2 for trial in trials), name
        pairs = [pair for pair in map(pair_of, trials) if pair is not None]
        assert len(set(pairs)) == len(pairs), f"{name}: trained twice"
