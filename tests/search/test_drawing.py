"""What a batch is made of: waiting trials first, nobody else's, and no more than the total."""

from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.storages import _CachedStorage
from optuna.trial import TrialState, create_trial

from schedsearch import Run
from schedsearch.launch import Outcome
from schedsearch.search.events import Event, Note
from schedsearch.store import optuna_tables
from schedsearch.store.connect import open_storage
from schedsearch.store.leases import LEASE, OWNER
from schedsearch.store.optuna_tables import write_sampled
from schedsearch.store.records import SCHEDULE

Launch = Callable[..., Outcome]

TWO: dict[str, Any] = {"families": ["StepLR", "OneCycleLR"]}
SOMEBODY = "elsewhere/1/2:3:4.00"


def study_of(run: Run) -> optuna.Study:
    return optuna.load_study(study_name=run.name, storage=run.storage)


@pytest.mark.parametrize("sampler", ["TPE", "random", "QMC", "GP", "CMA-ES"])
def test_what_a_person_enqueued_is_kept_and_the_rest_is_drawn(launch: Launch, sampler: str) -> None:
    args = {} if sampler in ("random", "QMC") else {"n_startup_trials": 1}
    search = {"sampler": sampler, "sampler_args": args, "batch": 3}
    study = study_of(launch(trials=2, search=search, **TWO).run)
    study.enqueue_trial({"peak_lr": 0.123, "family": "StepLR"})
    trials = launch(trials=4, search=search, **TWO).run.trials()
    assert list(trials["state"]) == ["finished"] * 4
    told = study.get_trials()[2]
    assert told.params.keys() >= {"family", "StepLR.gamma", "warmup"}
    assert (told.params["peak_lr"], told.params["family"]) == (0.123, "StepLR")
    assert (trials["peak_lr"][2], trials["family"][2]) == (0.123, "StepLR")
    assert told.system_attrs["fixed_params"] == {"peak_lr": 0.123, "family": "StepLR"}


def test_parameters_that_a_trial_has_already_are_kept(launch: Launch) -> None:
    """Of one that a process of an older version was drawing, one parameter at a time."""
    study = study_of(launch(trials=1, **TWO).run)
    drawn = study.get_trials()[0]
    begun = ("family", "peak_lr")
    study.add_trial(
        create_trial(
            state=TrialState.WAITING,
            params={name: drawn.params[name] for name in begun},
            distributions={name: drawn.distributions[name] for name in begun},
        )
    )
    trials = launch(trials=2, **TWO).run.trials()
    assert list(trials["state"]) == ["finished"] * 2
    assert trials["peak_lr"][1] == trials["peak_lr"][0]
    assert study.get_trials()[1].params.keys() > set(begun)


def test_a_trial_that_is_taken_while_it_is_drawn_is_left_to_its_taker(
    launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner slept until its leases had ended; another has gone on meanwhile."""
    taken: list[int] = []

    def late(storage: Any, rows: Any, owner: str) -> set[int]:
        if not taken:
            taken.append(rows[1].trial_id)
            storage.set_trial_user_attr(taken[0], OWNER, SOMEBODY)
            storage.set_trial_user_attr(taken[0], LEASE, 1e12)
        return write_sampled(storage, rows, owner)

    monkeypatch.setattr(optuna_tables, "write_sampled", late)
    notes: list[Event] = []
    options = {"on_event": notes.append}
    run = launch(trials=4, search={"batch": 3}, run_options=options).run
    assert not [n for n in notes if "elsewhere" in getattr(n, "text", "")], "it is not trained"
    trials = {trial.number: trial for trial in study_of(run).get_trials()}
    assert [trials[i].state.name for i in range(4)] == ["COMPLETE", "RUNNING"] + ["COMPLETE"] * 2
    assert trials[1].user_attrs[OWNER] == SOMEBODY
    assert SCHEDULE not in trials[1].system_attrs
    assert trials[1].params == {}


def test_waiting_trials_beyond_the_total_are_given_back_and_trained_first_later(
    launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two machines look at the same moment, and each takes a waiting trial as the last one."""
    study = study_of(launch(trials=2).run)
    for rate in (0.1, 0.2):
        study.enqueue_trial({"peak_lr": rate})
    original = _CachedStorage.set_trial_state_values
    came: list[int] = []

    def interposed(
        self: _CachedStorage, trial_id: int, state: TrialState, values: Any = None
    ) -> bool:
        if state == TrialState.RUNNING and not came:
            came.append(trial_id)
            other = open_storage(str(self._backend.engine.url))
            assert other.set_trial_state_values(trial_id, state)
            assert other.set_trial_state_values(trial_id, TrialState.COMPLETE, [0.5])
        try:
            return original(self, trial_id, state, values)
        except optuna.exceptions.UpdateFinishedTrialError:
            assert trial_id == came[0]
            raise

    with monkeypatch.context() as patch:
        patch.setattr(_CachedStorage, "set_trial_state_values", interposed)
        launch(trials=3)
    assert [t.state.name for t in study.get_trials()] == ["COMPLETE"] * 3 + ["WAITING"]
    trials = launch(trials=4).run.trials()
    assert list(trials["attempt"])[3] == 2
    assert trials["peak_lr"][3] == 0.2
    assert len(trials) == 4


def test_an_ordinary_batch_reads_the_trials_once(
    launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []
    original = _CachedStorage._read_trials_from_remote_storage

    def counted(self: _CachedStorage, study_id: int) -> None:
        reads.append(study_id)
        original(self, study_id)

    monkeypatch.setattr(_CachedStorage, "_read_trials_from_remote_storage", counted)
    counts = []
    for name, batch in (("one", 8), ("four", 2)):
        reads.clear()
        launch(name=name, trials=8, search={"batch": batch, "sampler": "TPE"})
        counts.append(len(reads))
    assert counts[1] - counts[0] == 3, "three batches more, three reads more"


def test_a_trial_that_ends_while_it_is_taken_for_abandoned_is_not_trained_again(
    launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner on another machine came late, yet before this one put it into the queue."""
    study = study_of(launch(trials=1).run)
    template = create_trial(
        state=TrialState.RUNNING, user_attrs={OWNER: SOMEBODY, LEASE: 1.0, "attempt": 1}
    )
    study.add_trial(template)

    def late(storage: Any, trial_id: int) -> None:
        other = open_storage(str(study._storage._backend.engine.url))  # type: ignore[attr-defined]
        other.set_trial_state_values(trial_id, TrialState.COMPLETE, [0.5])
        original(storage, trial_id)

    from schedsearch.store.leases import release as original

    monkeypatch.setattr("schedsearch.store.queue.release", late)
    notes: list[Event] = []
    launch(trials=3, run_options={"on_event": notes.append})
    assert [t.state.name for t in study.get_trials()] == ["COMPLETE"] * 3
    assert study.get_trials()[1].value == 0.5
    assert not [n for n in notes if isinstance(n, Note) and "was left by" in n.text]
