"""JSON for machines, as `--json` prints it: one object per event, each on a line of its own."""

import json
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, TextIO

from schedsearch.files import finite
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
    minutes: float | None
    reference_minutes: float | None
    engine: str
    megabytes: float


@dataclass(frozen=True)
class Result:
    """The result of a command that trains."""

    run: str
    concluded: bool
    confirmed: bool
    schedule: dict[str, Any] | None
    trial: int | None
    test: dict[str, float] | None
    best_path: str | None
    report_path: str | None
    trials: int
    training_seconds: float
    sampling_seconds: float
    storing_seconds: float


@dataclass(frozen=True)
class Failed:
    """The reason why a command ended early."""

    message: str
    exit_code: int


@dataclass(frozen=True)
class Kind:
    """One kind of line.

    Args:
        name: the value of its key `event`.
        made_of: the class whose fields are its keys.
        when: what the line tells.
        keys: the meaning of each key.
    """

    name: str
    made_of: type
    when: str
    keys: dict[str, str]


KINDS = (
    Kind("note", Note, "something that a person should know", {"text": "in words"}),
    Kind("chosen", Chosen, "how jobs are trained, and why", {"text": "in words"}),
    Kind(
        "started",
        Started,
        "a search begins or goes on; the check of the rungs counts as a search",
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
            "of": "the number of rungs",
            "schedules": "the number of schedules tried",
            "horizon": "its optimizer steps",
            "words": "them in words: steps, or epochs where the study counts those",
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
            "seconds": "seconds of its training",
        },
    ),
    Kind(
        "confirming",
        Confirming,
        "trainings of the confirmation have ended",
        {
            "what": "tuning the baselines, or confirming",
            "done": "trainings that have ended",
            "total": "trainings in all",
        },
    ),
    Kind(
        "ahead",
        Ahead,
        "the steps still planned: when trainings begin, then about twice a second; they may grow",
        {"steps": "optimizer steps of all phases, if nothing more diverges"},
    ),
    Kind(
        "plan",
        Planned,
        "with --dry-run: the only line",
        {
            "run": "its name",
            "trials": "trials in all",
            "confirming": "trainings of the confirmation, at most",
            "steps": "optimizer steps of the search",
            "minutes": "minutes that all of it would take",
            "reference_minutes": "minutes with the reference engine",
            "engine": "how it would be trained, chosen without trying a compiler",
            "megabytes": "megabytes that it would store",
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
            "test": (
                "its loss and metrics on the test split, by name; null when there is none, or when "
                "it diverged there"
            ),
            "best_path": "where best.json is; null until concluded",
            "report_path": "where report.html is; null when none was written",
            "trials": "trials of the search that this call trained",
            "training_seconds": "seconds that they were trained",
            "sampling_seconds": "seconds to choose them",
            "storing_seconds": "seconds to store them",
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
    own = {field.name: finite(getattr(event, field.name)) for field in fields(event)}
    return json.dumps({"event": _NAMES[type(event)], "time": now} | own, allow_nan=False)


class JsonLines:
    """A display for machines: one line per event."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, event: Event | Planned | Result | Failed) -> None:
        """Print an event at once."""
        print(line_of(event), file=self._stream, flush=True)


def as_markdown() -> str:
    """Return the kinds of lines as a Markdown table."""
    lines = ["| `event` | what it tells | its keys, beside `event` and `time` |", "|---|---|---|"]
    for kind in KINDS:
        keys = "; ".join(f"`{name}` {text}" for name, text in kind.keys.items())
        lines.append(f"| `{kind.name}` | {kind.when} | {keys} |")
    return "\n".join(lines) + "\n"


def as_text() -> str:
    """Return a few lines per kind: what it tells, and its keys."""
    lines = []
    for kind in KINDS:
        lines += [kind.name, f"    {kind.when}"]
        lines += [f"    {name:<17} {text}" for name, text in kind.keys.items()]
    return "\n".join(lines) + "\n"
