"""Chart: a figure before it is drawn, the same for a browser and for a picture."""

from dataclasses import dataclass
from typing import Literal

Mark = Literal["finished", "diverged", "pruned"]


@dataclass(frozen=True)
class Axis:
    """One axis.

    Args:
        label: what it shows, with its unit.
        log: whether its scale is logarithmic.
        percent: whether its values are fractions to be shown in percent.
        ticks: places and their texts (default: chosen by who draws).
        reverse: whether it runs down, or to the left.
        from_zero: whether it begins at zero.
        span: the places where it begins and ends (default: what the data need).
    """

    label: str
    log: bool = False
    percent: bool = False
    ticks: tuple[tuple[float, str], ...] = ()
    reverse: bool = False
    from_zero: bool = False
    span: tuple[float, float] | None = None


@dataclass(frozen=True)
class Series:
    """What is drawn in one colour.

    Args:
        name: what the legend calls it.
        kind: a line, a line of steps, points, bars from the left, or a band around a line.
        x: places along.
        y: places up; for bars, the row of each.
        hover: what is said of each point, or of all of them.
        family: gives the colour, and is what the legend switches; None: the text's colour.
        mark: what became of the trials that the points stand for.
        low: where the interval of each begins: along x for points, along y for a band.
        high: where it ends.
    """

    name: str
    kind: Literal["line", "steps", "points", "bars", "band"]
    x: tuple[float, ...]
    y: tuple[float, ...]
    hover: str | tuple[str, ...] = ""
    family: str | None = None
    mark: Mark = "finished"
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


@dataclass(frozen=True)
class Guide:
    """A thin line across the panel at a place of x, with a word to it."""

    x: float
    text: str


@dataclass(frozen=True)
class Panel:
    """One pair of axes with what is drawn in it."""

    x: Axis
    y: Axis
    series: tuple[Series, ...]
    guides: tuple[Guide, ...] = ()
    rows: int = 0
    """How many rows of text stand along y; 0: y is a scale."""


@dataclass(frozen=True)
class Chart:
    """A figure: its title, panels beside each other, and what is to be known of what they show."""

    title: str
    panels: tuple[Panel, ...]
    note: str = ""
