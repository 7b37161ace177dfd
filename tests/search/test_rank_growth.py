"""Rank mode gone on with: each family keeps its share."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from schedsearch import Run
from schedsearch.launch import Outcome
from schedsearch.search.events import Event, Note
from schedsearch.search.plan import divided
from schedsearch.store.leases import LEASE, OWNER
from schedsearch.store.place import study_ids

Launch = Callable[..., Outcome]

FAMILIES = ["StepLR", "Constant", "ExponentialLR"]
RANK: dict[str, Any] = {"mode": "rank", "families": FAMILIES}


def check_whole(run: Run, total: int) -> pd.DataFrame:
    """Check that each family has its share, that no trial is lost, and none double."""
    trials = run.trials()
    assert set(trials["state"]) <= {"finished", "pruned", "diverged"}
    for family, share in zip(FAMILIES, divided(total, len(FAMILIES)), strict=True):
        own = trials[trials["study"] == f"{run.name}/{family}"]
        assert list(own["trial"]) == list(range(share))
        assert set(own["family"]) == {family}
    assert len(trials) == total
    assert trials["schedule"].is_unique
    return trials


def test_more_trials_are_added_evenly_and_drawn_as_if_they_had_been_asked_at_once(
    launch: Launch,
) -> None:
    """TPE, so that what is drawn depends on what the family reached."""
    search = {"sampler": "TPE", "sampler_args": {"n_startup_trials": 2}, "batch": 3}
    options = RANK | {"search": search}
    few = check_whole(launch(name="grown", trials=6, **options).run, 6)
    grown = check_whole(launch(name="grown", trials=13, **options).run, 13)
    kept = grown[grown["trial"] < 2].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, few)
    whole = check_whole(launch(name="whole", trials=13, **options).run, 13)
    assert list(grown["schedule"]) == list(whole["schedule"])


def test_a_trial_of_a_living_process_elsewhere_is_left_to_it(launch: Launch) -> None:
    run = launch(trials=3, **RANK).run
    ids = study_ids(run.storage, run.name)
    trial_id = run.storage.create_new_trial(ids["tiny/Constant"])
    run.storage.set_trial_user_attr(trial_id, LEASE, 1e12)
    run.storage.set_trial_user_attr(trial_id, OWNER, "elsewhere:1:1.00")
    notes: list[Event] = []
    outcome = launch(trials=6, run_options={"on_event": notes.append}, **RANK)
    assert outcome.winner is None, "the other process concludes the run"
    trials = outcome.run.trials().set_index(["study", "trial"])
    assert list(trials["state"]["tiny/Constant"]) == ["finished", "running"]
    assert list(trials["state"]["tiny/StepLR"]) == ["finished"] * 2
    texts = [note.text for note in notes if isinstance(note, Note)]
    assert "1 trials are still being trained by other processes" in texts
