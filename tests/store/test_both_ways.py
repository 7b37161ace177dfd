"""A whole study through each of the two ways of writing: Optuna reads back the same."""

from collections.abc import Callable
from typing import Any

import pytest
from optuna.trial import FrozenTrial

from schedsearch import Run
from schedsearch.confirmation.read import confirmation_frame
from schedsearch.launch import Outcome
from schedsearch.search.events import Event, Note
from schedsearch.store import writing
from schedsearch.store.leases import LEASE, OWNER
from schedsearch.store.place import study_ids

Launch = Callable[..., Outcome]

STUDY: dict[str, Any] = {
    "trials": 9,
    "families": ["Constant", "StepLR", "ReduceLROnPlateau"],
    "training": {"total_steps": 60, "evals_per_run": 4, "engine": "reference"},
    "search": {"batch": 6, "sampler": "TPE", "sampler_args": {"n_startup_trials": 3}},
    "space": {"warmup": "none"},
    "fidelity": {"kind": "squeeze", "rungs": [20], "eta": 2, "min_steps": 10, "checks": 3},
    "confirmation": {"finalists": 2, "seeds": 4},
}
_TIMES = ("seconds", OWNER, LEASE)


def without_times(attrs: dict[str, Any]) -> dict[str, Any]:
    """Return attributes without what no two runs of a study have in common."""
    kept = {}
    for name, value in attrs.items():
        if name not in _TIMES:
            kept[name] = without_times(value) if isinstance(value, dict) else value
    return kept


def as_read(trial: FrozenTrial) -> dict[str, Any]:
    return {
        "number": trial.number,
        "state": trial.state,
        "values": trial.values,
        "params": trial.params,
        "distributions": trial.distributions,
        "intermediate": trial.intermediate_values,
        "user": without_times(trial.user_attrs),
        "system": without_times(trial.system_attrs),
        "dated": (trial.datetime_start is not None, trial.datetime_complete is not None),
    }


def everything(run: Run) -> dict[str, list[dict[str, Any]]]:
    """Return all trials of all studies of a run, as Optuna reads them."""
    found = {}
    for name, study_id in study_ids(run.storage, run.name).items():
        trials = run.storage.get_all_trials(study_id)
        kind = name.removeprefix(run.name)
        found[kind] = [as_read(trial) for trial in sorted(trials, key=lambda t: t.number)]
    return found


def test_a_study_gives_the_same_through_each_way(
    launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: dict[str, list[Event]] = {"tables": [], "public": []}
    tables = launch(name="tables", run_options={"on_event": notes["tables"].append}, **STUDY)
    with monkeypatch.context() as patch:
        patch.setattr(writing, "_why_not_tables", lambda storage: "Optuna's tables look new")
        public = launch(name="public", run_options={"on_event": notes["public"].append}, **STUDY)
    one, other = everything(tables.run), everything(public.run)
    assert set(one) == {"", "/fidelity", "/confirmation", "/test"}
    assert one == other
    said = {
        way: [e.text for e in events if isinstance(e, Note) and "slower" in e.text]
        for way, events in notes.items()
    }
    assert said["tables"] == []
    assert len(said["public"]) == 1, "said once, in a line"
    assert "\n" not in said["public"][0]
    assert tables.winner is not None
    assert tables.winner == public.winner
    frames = [confirmation_frame(outcome.run) for outcome in (tables, public)]
    assert frames[0].equals(frames[1])
