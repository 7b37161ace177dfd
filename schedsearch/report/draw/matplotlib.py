"""Charts as pictures, drawn with matplotlib."""

import io
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator, PercentFormatter

from schedsearch.errors import ScheduleError
from schedsearch.files import write_atomically
from schedsearch.report.draw.plotly import INK, height
from schedsearch.report.figures.chart import Axis, Chart, Panel, Series
from schedsearch.report.figures.colours import look_of

_DASHES = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-."}
_MARKERS = {"circle": "o", "square": "s", "diamond": "D", "triangle": "^"}


def paint(chart: Chart) -> Picture:
    """Draw a chart with matplotlib."""
    count = len(chart.panels)
    high = max(map(height, chart.panels)) / 100
    figure = Picture(figsize=(3 + 4.5 * count, high + 0.6), layout="constrained")
    figure.suptitle(chart.title, fontsize=12)
    named: dict[str, Any] = {}
    for axes, panel in zip(figure.subplots(1, count, squeeze=False)[0], chart.panels, strict=True):
        _paint_panel(axes, panel)
        if chart.note and axes is figure.axes[0]:
            axes.set_title(chart.note, loc="left", fontsize=8)
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    if len(named) > 1 and not all(panel.rows for panel in chart.panels):
        figure.legend(list(named.values()), list(named), loc="outside right upper", fontsize=8)
    return figure


def _paint_panel(axes: Axes, panel: Panel) -> None:
    for it, side in ((panel.x, "x"), (panel.y, "y")):
        _paint_axis(axes, it, side)
    for series in panel.series:
        _paint_series(axes, series)
    for guide in panel.guides:
        axes.axvline(guide.x, color=INK, linewidth=0.8, linestyle=":")
        over = axes.get_xaxis_transform()
        axes.text(guide.x, 1.01, guide.text, transform=over, ha="center", fontsize=7)
    for it, limits in ((panel.x, axes.set_xlim), (panel.y, axes.set_ylim)):
        if it.span:
            limits(*(reversed(it.span) if it.reverse else it.span))
    if panel.y.reverse and not panel.y.span:
        axes.yaxis.set_inverted(True)
    if panel.y.from_zero:
        axes.set_ylim(bottom=0)
    axes.set_axisbelow(True)
    axes.grid(alpha=0.25)


def _paint_axis(axes: Axes, it: Axis, side: str) -> None:
    axis = axes.xaxis if side == "x" else axes.yaxis
    if it.log:
        getattr(axes, f"set_{side}scale")("log")
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
        axis.set_minor_locator(NullLocator())
    if it.percent:
        axis.set_major_formatter(PercentFormatter(1.0))
    if it.ticks:
        axis.set_ticks([t for t, _ in it.ticks], [text for _, text in it.ticks], fontsize=8)
    getattr(axes, f"set_{side}label")(it.label)


def _paint_series(axes: Axes, series: Series) -> None:
    look = look_of(series.family) if series.family else None
    colour = look.colour if look else INK
    if series.kind == "band":
        axes.fill_between(series.x, series.low, series.high, color=colour, alpha=0.16, linewidth=0)
    elif series.kind == "bars":
        axes.barh(series.y, series.x, height=0.7, color=colour, label=series.name)
    elif series.kind == "points":
        marker = "x" if series.mark == "diverged" else _MARKERS[look.marker] if look else "o"
        face = "none" if series.mark == "pruned" else colour
        style: dict[str, Any] = (
            {"color": colour} if marker == "x" else {"facecolors": face, "edgecolors": colour}
        )
        axes.scatter(series.x, series.y, 22, marker=marker, label=series.name, **style)
        if series.low:
            axes.hlines(series.y, series.low, series.high, color=colour, linewidth=1.5)
    else:
        dash, width = (_DASHES[look.dash], 1.6) if look else ("-", 2.4)
        draw = partial(axes.step, where="post") if series.kind == "steps" else axes.plot
        draw(series.x, series.y, dash, color=colour, linewidth=width, label=series.name)


def save_figure(figure: Picture, path: Path) -> None:
    """Save a figure; the file's ending decides the format (png, svg, pdf).

    Raises:
        ScheduleError: an ending that matplotlib does not know.
        StorageError: a path that can't be written.
    """
    content = io.BytesIO()
    try:
        figure.savefig(content, dpi=150, format=path.suffix.lstrip(".") or "png")
    except ValueError as error:
        raise ScheduleError(f"cannot write {path}: {error}") from error
    write_atomically(path, content.getvalue())
