"""The queue of one study: taking, creating, ending, and what dead and sleeping processes leave."""

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import optuna
import pytest
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from schedsearch.compat import storage_of, trial_id_of
from schedsearch.store.connect import open_storage, sqlite_url
from schedsearch.store.leases import ATTEMPT, LEASE, OWNER, Leases
from schedsearch.store.queue import Queue
from schedsearch.store.writing import Finished, Sampled, writer_of

DEAD, ELSEWHERE = "elsewhere/1/2:3:4.00", "elsewhere/1/2:5:6.00"
MakeQueue = Callable[[], Queue]


@pytest.fixture
def make_queue(tmp_path: Path) -> Iterator[MakeQueue]:
    """Return a maker of queues on one study, each with a connection of its own."""
    url = sqlite_url(tmp_path / "study.db")
    optuna.create_study(study_name="a", storage=open_storage(url))
    held: list[Leases] = []

    def make() -> Queue:
        study = optuna.load_study(study_name="a", storage=open_storage(url))
        leases = Leases(storage_of(study)).__enter__()
        held.append(leases)
        return Queue(study, leases, writer_of(storage_of(study)), nullcontext())

    yield make
    for leases in held:
        leases.__exit__(None, None, None)


def states(study: Study) -> list[str]:
    return [trial.state.name for trial in study.get_trials()]


def owned(queue: Queue, owner: str, lease_until: float) -> FrozenTrial:
    """Make a running trial of another process."""
    trial_id = queue.storage.create_new_trial(queue.storage.get_study_id_from_name("a"))
    queue.storage.set_trial_user_attr(trial_id, LEASE, lease_until)
    queue.storage.set_trial_user_attr(trial_id, OWNER, owner)
    return queue.storage.get_trial(trial_id)


def test_trials_are_created_held_and_ended(make_queue: MakeQueue) -> None:
    queue = make_queue()
    created = queue.create(3, total=5)
    assert [number for _, number in created] == [0, 1, 2]
    assert [number for _, number in queue.create(3, total=5)] == [3, 4], "no more than the total"
    assert queue.create(0, total=9) == []
    rows = [Finished(i, TrialState.COMPLETE, 0.5, {"a": 1}, {"b": 2}) for i, _ in created[:2]]
    assert queue.end(rows) == {i for i, _ in created[:2]}
    assert queue.end(rows) == set(), "they have ended"
    queue.look()
    assert (queue.finished, queue.taken) == (2, 5)
    told = queue.study.get_trials()[0]
    assert (told.value, told.system_attrs["a"], told.user_attrs["b"]) == (0.5, 1, 2)


def test_with_attributes_all_are_created_or_none(make_queue: MakeQueue) -> None:
    queue = make_queue()
    assert queue.create(2, 1, [{"what": 0}, {"what": 1}]) == []
    assert states(queue.study) == []
    created = queue.create(2, 2, [{"what": 0}, {"what": 1}])
    assert [t.system_attrs["what"] for t in queue.study.get_trials()] == [0, 1]
    assert [number for _, number in created] == [0, 1]


def test_what_waits_goes_to_the_process_that_takes_it_first(make_queue: MakeQueue) -> None:
    one, other = make_queue(), make_queue()
    for rate in (0.1, 0.2, 0.3):
        one.study.enqueue_trial({"x": rate})
    one.look(), other.look()
    first = one.take(2)
    assert [trial.number for trial in first] == [0, 1]
    assert [trial.number for trial in other.take(9)] == [2], "the others are taken"
    assert other.take(9) == []
    attrs = [trial.user_attrs for trial in one.study.get_trials()]
    assert {a[ATTEMPT] for a in attrs} == {1}
    assert states(one.study) == ["RUNNING"] * 3


def test_only_what_is_wanted_is_taken(make_queue: MakeQueue) -> None:
    queue = make_queue()
    for rate in (0.1, 0.2, 0.3):
        queue.study.enqueue_trial({"x": rate})
    queue.look()
    assert [t.number for t in queue.take(9, lambda trial: trial.number != 1)] == [0, 2]


def test_trials_of_a_dead_process_return_to_the_queue_under_their_numbers(
    make_queue: MakeQueue,
) -> None:
    queue = make_queue()
    owned(queue, DEAD, time.time() - 1)
    alive = owned(queue, ELSEWHERE, time.time() + 100)
    assert queue.look() == [0]
    assert [t.state.name for t in queue.trials] == ["WAITING", "RUNNING"]
    (taken,) = queue.take(9)
    assert taken.number == 0
    assert queue.storage.get_trial(trial_id_of(taken)).user_attrs[ATTEMPT] == 1
    assert queue.storage.get_trial(trial_id_of(alive)).user_attrs[OWNER] == ELSEWHERE


def test_a_stale_look_puts_no_trial_back(
    make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process takes over a dead one's trial between the look and the putting back."""
    queue = make_queue()
    left = owned(queue, DEAD, time.time() - 1)
    original = Study.get_trials

    def then_taken(self: Study, *args: object, **how: object) -> list[FrozenTrial]:
        seen = original(self, *args, **how)  # type: ignore[arg-type]
        monkeypatch.undo()
        queue.storage.set_trial_user_attr(trial_id_of(left), LEASE, time.time() + 100)
        queue.storage.set_trial_user_attr(trial_id_of(left), OWNER, ELSEWHERE)
        return seen

    monkeypatch.setattr(Study, "get_trials", then_taken)
    assert queue.look() == []
    assert states(queue.study) == ["RUNNING"]
    assert queue.study.get_trials()[0].user_attrs[OWNER] == ELSEWHERE


def test_what_is_given_back_waits_for_the_next_attempt(make_queue: MakeQueue) -> None:
    one, other = make_queue(), make_queue()
    ((trial_id, _),) = one.create(1, total=1)
    one.give_back([trial_id])
    assert states(one.study) == ["WAITING"]
    other.look()
    assert [trial.number for trial in other.take(1)] == [0]
    assert other.storage.get_trial(trial_id).user_attrs[ATTEMPT] == 2


def test_a_trial_that_another_process_has_by_now_is_let_go_of(make_queue: MakeQueue) -> None:
    """The process slept until its leases had ended."""
    queue = make_queue()
    created = queue.create(2, total=2)
    queue.storage.set_trial_user_attr(created[0][0], OWNER, ELSEWHERE)
    rows = [Sampled(trial_id, {}, {}, {"what": 7}) for trial_id, _ in created]
    assert queue.describe(rows) == {created[1][0]}
    ended = [Finished(i, TrialState.COMPLETE, 1.0, {}, {}) for i, _ in created]
    assert queue.end(ended) == {created[1][0]}
    assert states(queue.study) == ["RUNNING", "COMPLETE"]
