"""Exporter: a format in which a schedule can be written."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from schedsearch.schedules.schedule import Schedule

Text: TypeAlias = Callable[[Schedule, Mapping[str, Any], int | None], str]
"""Returns a file's text, given the schedule, what best.json holds, and the horizon in steps."""


@dataclass(frozen=True)
class Exporter:
    """A format in which a schedule can be written.

    Args:
        name: its name, as in `schedsearch export --to`.
        about: what the file holds, in a few words.
        suffix: how the file's name ends, with the dot.
        text: returns the file's text.
        needs_total_steps: whether the file depends on a horizon.
    """

    name: str
    about: str
    suffix: str
    text: Text
    needs_total_steps: bool = False
