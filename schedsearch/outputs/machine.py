"""What `--json` prints for machines: one event a line, on standard output, as a JSON object."""

import json
import math
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TextIO

from schedsearch.search.events import (
    Ahead,
    AtRung,
    Chosen,
    Confirming,
    Event,
    Note,
    Started,
    Trained,
)


@dataclass(frozen=True)
class Planned:
    """What a study would take."""

    run: str
    trials: int
    confirming: int
    steps: int
    minutes: float
    reference_minutes: float
    engine: str
    megabytes: float


@dataclass(frozen=True)
class Result:
    """What a command that trains came to."""

    run: str
    concluded: bool
    confirmed: bool
    schedule: dict[str, Any] | None
    trial: int | None
    test_loss: float | None
    test_accuracy: float | None
    best_path: str | None
    report_path: str | None
    trials: int
    training_seconds: float
    sampling_seconds: float
    storing_seconds: float


@dataclass(frozen=True)
class Failed:
    """Why a command ended early."""

    message: str
    exit_code: int


@dataclass(frozen=True)
class Kind:
    """One kind of line.

    Args:
        name: the value of its key `event`.
        made_of: the value whose fields are its keys.
        when: what it tells.
        keys: what each key holds.
    """

    name: str
    made_of: type
    when: str
    keys: dict[str, str]


KINDS = (
    Kind("note", Note, "something that a person should know", {"text": "in words"}),
    Kind("chosen", Chosen, "how runs are trained, and why", {"text": "in words"}),
    Kind(
        "started",
        Started,
        "a search begins, or goes on; the check of the rungs is one too",
        {
            "run": "its name; RUN/fidelity is the check of the rungs",
            "finished": "trials that had ended before",
            "total": "trials in all",
        },
    ),
    Kind(
        "rung",
        AtRung,
        "schedules are now tried at a rung",
        {
            "rung": "its number, from 1",
            "of": "how many rungs there are",
            "schedules": "how many are tried",
            "horizon": "its optimizer steps",
        },
    ),
    Kind(
        "trial",
        Trained,
        "a trial of the search that started last has ended and is stored",
        {
            "trial": "its number",
            "state": "finished, pruned or diverged",
            "family": "of its schedule",
            "value": "the objective at its end; null where that is no finite number",
            "finished": "trials that have ended",
            "total": "trials in all",
            "best_value": "the best so far; null before the first",
            "best_family": "its family",
            "seconds": "its training",
        },
    ),
    Kind(
        "confirming",
        Confirming,
        "runs of the confirmation have ended",
        {
            "what": "tuning the references, or confirming",
            "done": "runs that have ended",
            "total": "runs in all",
        },
    ),
    Kind(
        "ahead",
        Ahead,
        "what is planned still: when runs begin, and about twice a second meanwhile; it may grow",
        {"steps": "optimizer steps of all phases, if nothing more diverges"},
    ),
    Kind(
        "plan",
        Planned,
        "with --dry-run: the only line",
        {
            "run": "its name",
            "trials": "trials in all",
            "confirming": "runs of the confirmation, at the most",
            "steps": "optimizer steps of the search",
            "minutes": "all of it would take",
            "reference_minutes": "it would take with the reference engine",
            "engine": "how it would be trained, as far as no compiler decides",
            "megabytes": "it would store",
        },
    ),
    Kind(
        "result",
        Result,
        "the last line of a call that went well",
        {
            "run": "its name",
            "concluded": "false while other processes still train; they conclude",
            "confirmed": "whether the winner was found on fresh seeds",
            "schedule": "the winner, as best.json has it; null until concluded",
            "trial": "its trial; null for one that was tuned for the confirmation",
            "test_loss": "on the test split; null when it diverged there",
            "test_accuracy": "on the test split; null when it diverged there",
            "best_path": "where best.json is; null until concluded",
            "report_path": "where report.html is; null when none was written",
            "trials": "trials of the search that this call trained",
            "training_seconds": "they took",
            "sampling_seconds": "the harness took to choose them",
            "storing_seconds": "the harness took to store them",
        },
    ),
    Kind(
        "error",
        Failed,
        "the last line of a call that failed; standard error has it in words",
        {
            "message": "one line",
            "exit_code": "2: a mistake that can be mended; 130: interrupted",
        },
    ),
)
_NAMES = {kind.made_of: kind.name for kind in KINDS}


def line_of(event: Event | Planned | Result | Failed) -> str:
    """Return an event as a line of strict JSON: its kind, the time in UTC, then its own keys.

    >>> line_of(Note("hello"))[:18], line_of(Note("hello")).endswith('"text": "hello"}')
    ('{"event": "note", ', True)
    """
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    own = {field.name: _finite(getattr(event, field.name)) for field in fields(event)}
    return json.dumps({"event": _NAMES[type(event)], "time": now} | own, allow_nan=False)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


class JsonLines:
    """A display for machines: a line an event."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __enter__(self) -> "JsonLines":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def __call__(self, event: Event | Planned | Result | Failed) -> None:
        """Print an event, at once."""
        print(line_of(event), file=self._stream, flush=True)


def as_markdown() -> str:
    """Return the kinds of lines as a Markdown table."""
    lines = ["| `event` | what it tells | its keys, beside `event` and `time` |", "|---|---|---|"]
    for kind in KINDS:
        keys = "; ".join(f"`{name}` {text}" for name, text in kind.keys.items())
        lines.append(f"| `{kind.name}` | {kind.when} | {keys} |")
    return "\n".join(lines) + "\n"


def as_text() -> str:
    """Return a few lines for each kind: what it tells, and its keys."""
    lines = []
    for kind in KINDS:
        lines += [kind.name, f"    {kind.when}"]
        lines += [f"    {name:<17} {text}" for name, text in kind.keys.items()]
    return "\n".join(lines) + "\n"
