"""What a search tells while it goes on: values, for whoever shows them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Started:
    """The search begins, or goes on."""

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
    """Schedules are now being tried at a rung, the first is number 1."""

    rung: int
    of: int
    schedules: int
    horizon: int


@dataclass(frozen=True)
class Ahead:
    """So many optimizer steps are planned still: of all phases, if nothing more diverges."""

    steps: int


@dataclass(frozen=True)
class Chosen:
    """How runs are trained, and why."""

    text: str


@dataclass(frozen=True)
class Note:
    """Something that a person should know."""

    text: str


@dataclass(frozen=True)
class Confirming:
    """Runs of the confirmation have ended; `what` is trained: the references' rates, or all."""

    what: str
    done: int
    total: int


Event: TypeAlias = Chosen | Started | AtRung | Trained | Confirming | Ahead | Note
OnEvent: TypeAlias = Callable[[Event], None]
