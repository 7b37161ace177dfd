"""Who trains a trial, until when, at which attempt: no living process loses its work."""

import os
import platform
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

LEASE_SECONDS = 120.0
OWNER, LEASE, ATTEMPT = "owner", "lease_until", "attempt"

# A lease that can't be renewed now is renewed the next time; one of a finished trial needs none.
_NO_LONGER_OURS = (UpdateFinishedTrialError, StorageInternalError, KeyError)


def machine() -> str:
    """Return the name of what a process number is unique in: host, boot and process namespace."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    namespace = Path("/proc/self/ns/pid")
    parts = [platform.node()]
    if boot.exists() and namespace.exists():
        parts += [boot.read_text().strip()[:8], os.readlink(namespace).strip("pid:[]")]
    return "/".join(parts)


def this_process() -> str:
    """Return the name of this process: machine, number, start (numbers are used again)."""
    return f"{machine()}:{os.getpid()}:{psutil.Process().create_time():.2f}"


def _lives(owner: str) -> bool:
    """Return whether an owner on this machine is a process that still runs."""
    _, pid, started = owner.rsplit(":", 2)
    try:
        process = psutil.Process(int(pid))
        alive = process.status() != psutil.STATUS_ZOMBIE
        return alive and abs(process.create_time() - float(started)) < 1
    except (psutil.Error, ValueError):
        return False


def abandoned(trial: FrozenTrial, now: float | None = None) -> bool:
    """Return whether nobody trains a running trial any more.

    On the machine of the owner the process decides; elsewhere the lease does.
    """
    now = time.time() if now is None else now
    owner = trial.user_attrs.get(OWNER)
    if not owner:  # just taken from the queue; unless its owner died before it put its name there
        started = trial.datetime_start
        return started is None or now - started.timestamp() > LEASE_SECONDS
    if owner.rsplit(":", 2)[0] == machine():
        return not _lives(owner)
    return bool(now > trial.user_attrs.get(LEASE, 0.0))


def release(storage: BaseStorage, trial_id: int) -> None:
    """Put a running trial back into the queue; whoever asks next trains it, as a new attempt."""
    storage.set_trial_user_attr(trial_id, OWNER, "")
    storage.set_trial_state_values(trial_id, TrialState.WAITING)


class Leases:
    """Hold trials for this process; a thread renews the leases while they are trained."""

    def __init__(self, storage: BaseStorage, seconds: float = LEASE_SECONDS) -> None:
        self._storage = storage
        self._seconds = seconds
        self.owner = this_process()
        self._held: set[int] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="leases", daemon=True)

    def __enter__(self) -> "Leases":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()
        for trial_id in sorted(self._held):  # an interrupt, or an error: others may take them
            with suppress(*_NO_LONGER_OURS):
                if self._storage.get_trial(trial_id).user_attrs.get(OWNER) == self.owner:
                    release(self._storage, trial_id)

    def first_attrs(self) -> dict[str, Any]:
        """Return the attributes that a new trial of this process is created with."""
        return {OWNER: self.owner, LEASE: time.time() + self._seconds, ATTEMPT: 1}

    def hold(self, trial_id: int) -> None:
        """Renew a trial's lease from now on."""
        with self._lock:
            self._held.add(trial_id)

    def take(self, trial_id: int, user_attrs: Mapping[str, Any]) -> None:
        """Put this process's name on a trial that waited."""
        attrs = self.first_attrs() | {ATTEMPT: int(user_attrs.get(ATTEMPT, 0)) + 1}
        # the owner last: no reader sees a new owner beside an old lease
        for name in (LEASE, ATTEMPT, OWNER):
            self._storage.set_trial_user_attr(trial_id, name, attrs[name])
        self.hold(trial_id)

    def drop(self, trial_id: int) -> None:
        """Let go of a trial that is finished, or given back."""
        with self._lock:
            self._held.discard(trial_id)

    def _renew(self) -> None:
        while not self._stop.wait(self._seconds / 4):
            with self._lock:
                held = sorted(self._held)
            for trial_id in held:
                with suppress(*_NO_LONGER_OURS):
                    until = time.time() + self._seconds
                    self._storage.set_trial_user_attr(trial_id, LEASE, until)
