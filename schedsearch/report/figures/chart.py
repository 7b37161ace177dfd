"""Chart: a figure before it is drawn, the same for a browser and for a picture."""

from dataclasses import dataclass, replace
from typing import Literal

from schedsearch.horizon import Unit

Mark = Literal["finished", "diverged", "pruned"]


@dataclass(frozen=True)
class Axis:
    """One axis.

    Args:
        label: what it shows, with its unit.
        log: whether its scale is logarithmic.
        percent: whether its values are fractions to be shown in percent.
        ticks: values and their texts (default: chosen by the backend).
        reverse: whether the axis points down, or to the left.
        from_zero: whether the axis begins at zero.
        span: the values at its ends (default: those of the data).
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
    """Marks of one colour.

    Args:
        name: its name in the legend.
        kind: a line, a line of steps, points, bars from the left, or a band around a line.
        x: the x values.
        y: the y values; for bars, their rows.
        hover: the text of each point, or one text for all points.
        family: the family that gives the colour and that the legend switches; None for the
            colour of text.
        mark: the state of the trials that the points stand for.
        low: the lower ends of intervals: along x for points, along y for a band.
        high: the upper ends of intervals.
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
    """A thin line across the panel at a value of x, with a label."""

    x: float
    text: str


@dataclass(frozen=True)
class Panel:
    """One pair of axes with the series drawn in it."""

    x: Axis
    y: Axis
    series: tuple[Series, ...]
    guides: tuple[Guide, ...] = ()
    rows: int = 0
    """The number of rows of text along y; 0 if y is a scale."""


@dataclass(frozen=True)
class Chart:
    """A figure: its title, its panels side by side, and a note on how to read them."""

    title: str
    panels: tuple[Panel, ...]
    note: str = ""


_STEPS = "optimizer step"  # so begins the label of an axis of steps


def in_unit(chart: Chart, unit: Unit) -> Chart:
    """Return a chart whose axes of optimizer steps, by their labels, are in the unit of a study.

    >>> steps = Series("a", "line", (9.0, 18.0), (1.0, 2.0))
    >>> panel = in_unit(Chart("", (Panel(Axis("optimizer step"), Axis("loss"), (steps,)),)),
    ...                 Unit(18.0)).panels[0]
    >>> panel.x.label, panel.series[0].x
    ('epoch', (0.5, 1.0))
    """
    if unit.steps_per_epoch is None:
        return chart
    panels = tuple(_in_epochs(p, unit) if p.x.label.startswith(_STEPS) else p for p in chart.panels)
    return replace(chart, panels=panels)


def _in_epochs(panel: Panel, unit: Unit) -> Panel:
    def scaled(series: Series) -> Series:
        moved = replace(series, x=tuple(map(unit.of, series.x)))
        if series.kind == "band":  # its ends lie along y
            return moved
        low, high = (tuple(map(unit.of, ends)) for ends in (series.low, series.high))
        return replace(moved, low=low, high=high)

    return replace(
        panel,
        x=replace(panel.x, label=panel.x.label.replace(_STEPS, "epoch", 1)),
        series=tuple(map(scaled, panel.series)),
        guides=tuple(replace(guide, x=unit.of(guide.x)) for guide in panel.guides),
    )
