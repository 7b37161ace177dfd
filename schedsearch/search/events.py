"""Events: what a study tells while it is worked on, as values, for whoever shows them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Started:
    """A search begins, or is resumed; the check of the rungs is one too."""

    run: str
    finished: int
    total: int


@dataclass(frozen=True)
class Trained:
    """A trial has ended: "finished", "pruned" or "diverged"."""

    trial: int
    state: str
    family: str
    value: float
    finished: int
    total: int
    best_value: float | None
    best_family: str | None
    seconds: float


@dataclass(frozen=True)
class AtRung:
    """Schedules are now tried at a rung; the first rung is number 1."""

    rung: int
    of: int
    schedules: int
    horizon: int
    words: str


@dataclass(frozen=True)
class Ahead:
    """Optimizer steps still planned, over all phases (an upper bound: divergence shortens it)."""

    steps: int


@dataclass(frozen=True)
class Chosen:
    """How jobs are trained, or what was decided by a measurement, and why."""

    text: str


@dataclass(frozen=True)
class Note:
    """Something that a person should know."""

    text: str


@dataclass(frozen=True)
class Confirming:
    """Trainings beside the search have ended; `what` says which, in words."""

    what: str
    done: int
    total: int


Event: TypeAlias = Chosen | Started | AtRung | Trained | Confirming | Ahead | Note
OnEvent: TypeAlias = Callable[[Event], None]
