"""Who trains a trial: nobody takes it from a living process, anybody from a dead one."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from schedsearch.store import leases as owners
from schedsearch.store.connect import open_storage, sqlite_url
from schedsearch.store.leases import (
    ATTEMPT,
    LEASE,
    LEASE_SECONDS,
    OWNER,
    Leases,
    abandoned,
    machine,
    release,
    this_process,
)

NOW = 1_000_000.0


@pytest.fixture
def study(tmp_path: Path) -> optuna.Study:
    return optuna.create_study(storage=open_storage(sqlite_url(tmp_path / "study.db")))


@pytest.fixture
def child() -> Iterator[psutil.Popen]:
    process = psutil.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    with suppress(psutil.NoSuchProcess):
        process.kill()
        process.wait()


def running(owner: str | None, lease: float | None = None, started: float = 0.0) -> FrozenTrial:
    """Make a running trial that was started so many seconds before NOW."""
    given = {OWNER: owner, LEASE: lease}
    trial = create_trial(
        state=TrialState.RUNNING,
        user_attrs={name: value for name, value in given.items() if value is not None},
    )
    trial.datetime_start = datetime.fromtimestamp(NOW) - timedelta(seconds=started)
    return trial


def name_of(process: psutil.Process) -> str:
    return f"{machine()}:{process.pid}:{process.create_time():.2f}"


VALID, EXPIRED = NOW + 60, NOW - 60


@pytest.mark.parametrize("lease", [VALID, EXPIRED, None])
def test_on_its_own_machine_the_process_decides(lease: float | None, child: psutil.Popen) -> None:
    alive = running(name_of(child), lease)
    assert not abandoned(alive, NOW)
    assert not abandoned(running(this_process(), lease), NOW)

    earlier = f"{machine()}:{child.pid}:{child.create_time() - 3600:.2f}"
    assert abandoned(running(earlier, lease), NOW), "its number is another process's now"

    child.send_signal(9)
    while child.status() != psutil.STATUS_ZOMBIE:  # dead, and its parent has not looked yet
        time.sleep(0.01)
    assert abandoned(alive, NOW)
    child.wait()
    assert abandoned(alive, NOW)


@pytest.mark.parametrize(
    ("trial", "expected"),
    [
        (running("elsewhere/1234/99:1:5.00", VALID), False),
        (running("elsewhere/1234/99:1:5.00", EXPIRED), True),
        (running("elsewhere:with:colons:1:5.00", VALID), False),
        (running(None, started=1), False),
        (running(None, started=LEASE_SECONDS - 1), False),
        (running(None, started=LEASE_SECONDS + 1), True),
        (running(f"{machine()}:no number:5.00", VALID), True),
    ],
    ids=[
        "another machine, lease valid",
        "another machine, lease expired",
        "a machine with colons in its name",
        "no owner yet, just started",
        "no owner yet, within a lease's time",
        "no owner, started long ago",
        "no process can be meant",
    ],
)
def test_elsewhere_the_lease_decides(trial: FrozenTrial, expected: bool) -> None:
    assert abandoned(trial, NOW) is expected


def test_this_process_is_named_once_and_for_all() -> None:
    assert this_process() == this_process()
    host, pid, started = this_process().rsplit(":", 2)
    assert host == machine()
    assert psutil.Process(int(pid)).create_time() == pytest.approx(float(started), abs=0.01)


def test_a_released_trial_is_taken_again_under_its_number(study: optuna.Study) -> None:
    storage = study._storage
    with Leases(storage) as leases:
        first = study.ask()
        rate = first.suggest_float("peak_lr", 0.01, 1.0)
        leases.take(first._trial_id, first.user_attrs)
        assert storage.get_trial(first._trial_id).user_attrs[ATTEMPT] == 1
        leases.drop(first._trial_id)
        release(storage, first._trial_id)
        assert [t.state for t in study.trials] == [TrialState.WAITING]

        second = study.ask()
        assert second.number == first.number
        assert second.suggest_float("peak_lr", 0.01, 1.0) == rate, "it is not drawn again"
        leases.take(second._trial_id, second.user_attrs)
        attrs = storage.get_trial(second._trial_id).user_attrs
        assert attrs[ATTEMPT] == 2
        assert attrs[OWNER] == this_process()
        assert attrs[LEASE] > time.time()
    assert len(study.trials) == 1


def test_a_thread_renews_leases_until_a_trial_is_let_go(
    study: optuna.Study, wait_until: Callable[..., None]
) -> None:
    storage = study._storage
    trial, other = study.ask(), study.ask()

    def lease(of: optuna.Trial) -> float:
        return float(storage.get_trial(of._trial_id).user_attrs[LEASE])

    with Leases(storage, seconds=0.2) as leases:
        for each in (trial, other):
            leases.take(each._trial_id, each.user_attrs)
        first = lease(trial), lease(other)
        wait_until(lambda: lease(trial) > first[0] + 0.2 and lease(other) > first[1] + 0.2, 10)
        leases.drop(other._trial_id)
        study.tell(other, 1.0)
        time.sleep(0.1)  # a renewal that was under way
        dropped, held = lease(other), lease(trial)
        wait_until(lambda: lease(trial) > held + 0.2, 10)
        assert lease(other) == dropped
    ended = lease(trial)
    time.sleep(0.2)
    assert lease(trial) == ended, "the thread ends with the search"


def test_the_thread_survives_a_storage_that_fails_for_a_while(
    study: optuna.Study, wait_until: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = study._storage
    trial = study.ask()
    failures: list[int] = []

    def failing(*args: Any) -> None:
        failures.append(1)
        raise optuna.exceptions.StorageInternalError("the database is away")

    with Leases(storage, seconds=0.1) as leases:
        leases.take(trial._trial_id, trial.user_attrs)
        with monkeypatch.context() as patch:
            patch.setattr(storage, "set_trial_user_attr", failing)
            wait_until(lambda: len(failures) >= 2, 10)
        before = storage.get_trial(trial._trial_id).user_attrs[LEASE]
        wait_until(lambda: storage.get_trial(trial._trial_id).user_attrs[LEASE] > before, 10)


def test_an_error_gives_back_what_is_held_and_still_its_own(study: optuna.Study) -> None:
    storage = study._storage
    held, dropped, lost, done = (study.ask() for _ in range(4))
    with pytest.raises(KeyboardInterrupt), Leases(storage) as leases:  # noqa: PT012
        for trial in (held, dropped, lost, done):
            leases.take(trial._trial_id, trial.user_attrs)
        leases.drop(dropped._trial_id)
        storage.set_trial_user_attr(lost._trial_id, OWNER, "elsewhere/1/2:3:4.00")
        study.tell(done, 1.0)
        raise KeyboardInterrupt
    states = [trial.state for trial in study.trials]
    assert states == [
        TrialState.WAITING,
        TrialState.RUNNING,
        TrialState.RUNNING,
        TrialState.COMPLETE,
    ]


def _left_elsewhere(study: optuna.Study) -> int:
    """Leave a trial as the death of a process on another machine does, put into the queue again."""
    trial = study.ask()
    storage = study._storage
    storage.set_trial_user_attr(trial._trial_id, OWNER, "elsewhere/1/2:3:4.00")
    storage.set_trial_user_attr(trial._trial_id, LEASE, time.time() - 1)
    storage.set_trial_user_attr(trial._trial_id, ATTEMPT, 1)
    assert abandoned(storage.get_trial(trial._trial_id))
    release(storage, trial._trial_id)
    return trial._trial_id


def test_no_other_machine_takes_a_trial_whose_new_owner_is_half_written(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine may look between any two writes of the one that takes a trial."""
    storage = study._storage
    assert isinstance(storage, optuna.storages._CachedStorage)
    trial_id = _left_elsewhere(study)
    assert storage.set_trial_state_values(trial_id, TrialState.RUNNING)
    original = storage.set_trial_user_attr
    seen: list[tuple[str, bool]] = []

    def watched(trial_id: int, key: str, value: Any) -> None:
        original(trial_id, key, value)
        with monkeypatch.context() as elsewhere:
            elsewhere.setattr(owners, "machine", lambda: "a third one")
            seen.append((key, abandoned(storage.get_trial(trial_id))))

    monkeypatch.setattr(storage, "set_trial_user_attr", watched)
    with Leases(storage) as leases:
        leases.take(trial_id, storage.get_trial(trial_id).user_attrs)
        leases.drop(trial_id)
    assert [key for key, taken in seen if taken] == []


def test_no_other_machine_takes_a_trial_before_its_new_owner_wrote_its_name(
    study: optuna.Study,
) -> None:
    """It runs again since just now; the name on it is still that of the dead one."""
    storage = study._storage
    trial_id = _left_elsewhere(study)
    assert storage.set_trial_state_values(trial_id, TrialState.RUNNING)
    assert not abandoned(storage.get_trial(trial_id))


def test_a_trial_taken_by_two_at_once_goes_to_one(study: optuna.Study) -> None:
    trial_id = _left_elsewhere(study)
    one, other = study._storage, RDBStorage(str(study._storage._backend.engine.url))  # type: ignore[attr-defined]
    assert one.set_trial_state_values(trial_id, TrialState.RUNNING)
    assert not other.set_trial_state_values(trial_id, TrialState.RUNNING)
