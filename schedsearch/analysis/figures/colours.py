"""The colour, dash and marker of each family: the same in all figures of all runs.

Seven colours that were searched for: eyes that lack receptors for red, green or blue keep them
apart (a test computes it), and each is dark enough for a white page and light enough for a dark
one. Families that share a colour differ in dash and marker.
"""

from dataclasses import dataclass
from typing import Literal
from zlib import crc32

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


# By hue; the first row is what people compare most often. Never sort it: it is what keeps a
# family's look the same in the reports of years.
_ORDER = (
    *("CosineAnnealingLR", "StepLR", "LinearLR", "OneCycleLR", "ExponentialLR"),
    *("ReduceLROnPlateau", "SequentialLR", "MultiStepLR", "PolynomialLR", "CyclicLR"),
    *("MultiplicativeLR", "ReduceLROnPlateau+StepLR", "CosineAnnealingWarmRestarts"),
    *("ConstantLR", "LambdaLR", "SWALR", "ChainedScheduler"),
    "ReduceLROnPlateau+CosineAnnealingLR",
)


def look_of(family: str) -> Look:
    """Return how a family is drawn; one of the user's own gets its look by its name.

    >>> look_of("Constant").colour == GREY
    True
    """
    if family == "Constant":
        return Look(GREY, "solid", "circle")
    if family in _ORDER:
        kind, hue = divmod(_ORDER.index(family), len(_HUES))
        return Look(_HUES[hue], *_KINDS[kind])
    return Look(_HUES[crc32(family.encode()) % len(_HUES)], *_KINDS[3])
