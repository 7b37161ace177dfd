"""Finding: what was seen of one thing, and whether a study would fail of it."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

State: TypeAlias = Literal["ok", "warning", "would fail"]


@dataclass(frozen=True)
class Finding:
    """What was seen of one thing.

    Args:
        name: what was looked at, in a word or two.
        state: "ok"; "warning": a study runs, but perhaps not as is meant; "would fail".
        text: what was seen, in one line.

    >>> Finding("labels", "ok", "0 to 9").line()
    'ok         labels       0 to 9'
    """

    name: str
    state: State
    text: str

    def line(self) -> str:
        """Return the finding as a line of a table."""
        return f"{self.state:<10} {self.name:<12} {self.text}"
