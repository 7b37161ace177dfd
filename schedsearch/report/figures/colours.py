"""The colour, dash and marker of each family: the same in all figures of all runs.

The seven colours were searched for. They differ to eyes that lack receptors for red, green or blue
(a test computes it), and each is dark enough for a white page and light enough for a dark one.
Families that share a colour differ in dash and marker.
"""

from dataclasses import dataclass
from typing import Literal
from zlib import crc32

from schedsearch.schedules.families import FAMILIES

Dash = Literal["solid", "dash", "dot", "dashdot"]
Marker = Literal["circle", "square", "diamond", "triangle"]

BLUE, RED, GREEN, OLIVE, SKY, PINK = (
    *("#3c5cb6", "#c02516", "#009546"),
    *("#9fa701", "#7a98ff", "#d272bc"),
)
GREY = "#636363"
_HUES = (BLUE, RED, GREEN, OLIVE, SKY, PINK)
_KINDS: tuple[tuple[Dash, Marker], ...] = (
    ("solid", "circle"),
    ("dash", "square"),
    ("dot", "diamond"),
    ("dashdot", "triangle"),
)


@dataclass(frozen=True)
class Look:
    """How a family is drawn."""

    colour: str
    dash: Dash
    marker: Marker


def look_of(family: str) -> Look:
    """Return how a family is drawn; a family of the user's own gets a look from its name.

    The number of a family's look is part of its record (`Family.look`) and never changes, so that
    a family looks the same in all reports.

    >>> look_of("Constant").colour == GREY
    True
    """
    if family == "Constant":
        return Look(GREY, "solid", "circle")
    known = next((each.look for each in FAMILIES if each.name == family), None)
    if known is None:
        return Look(_HUES[crc32(family.encode()) % len(_HUES)], *_KINDS[3])
    kind, hue = divmod(known, len(_HUES))
    return Look(_HUES[hue], *_KINDS[kind])
