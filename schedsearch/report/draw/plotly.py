"""Charts for a browser: the figures that plotly.js draws, as plain values."""

from html import escape
from math import isfinite, log10
from typing import Any

from schedsearch.report.figures.chart import Axis, Chart, Panel, Series
from schedsearch.report.figures.colours import look_of

INK = "#555555"  # for series of no family; a page replaces it by the colour of its text
_SYMBOLS = {
    "circle": "circle",
    "square": "square",
    "diamond": "diamond",
    "triangle": "triangle-up",
}
_ROW_PIXELS = {False: 28, True: 36}  # a row of one line, a row of two
_PANEL_PIXELS = 380


def html(text: str) -> str:
    r"""Escape a text for plotly, which reads a few tags.

    >>> html("a<b>\nc")
    'a&lt;b&gt;<br>c'
    """
    return escape(text, quote=False).replace("\n", "<br>")


def _faint(colour: str) -> str:
    """Return a translucent colour.

    >>> _faint("#ff8000")
    'rgba(255,128,0,0.16)'
    """
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.16)"


def short(value: float) -> float | None:
    """Return a value rounded to six digits, as much as a screen shows; None if it is not finite."""
    rounded = float(f"{value:.6g}")
    return rounded if isfinite(rounded) else None


def traces(panel: Panel, number: str = "") -> list[dict[str, Any]]:
    """Return plotly's traces of a panel, on the axes `x` and `y` followed by a number."""
    axes = {"xaxis": f"x{number}", "yaxis": f"y{number}"}
    return [_trace(series, panel) | axes for series in panel.series]


def _trace(series: Series, panel: Panel) -> dict[str, Any]:
    look = look_of(series.family) if series.family else None
    colour, text = look.colour if look else INK, series.hover
    if isinstance(text, str):
        number = ".2%" if panel.y.percent else ".4g"
        hover = f"{html(text)}<br>%{{x:.4g}}: %{{y:{number}}}<extra></extra>"
    else:
        hover = "%{text}<extra></extra>"
    trace: dict[str, Any] = {
        "type": "bar" if series.kind == "bars" else "scatter",
        "name": html(series.name),
        "x": list(series.x),
        "y": list(series.y),
        "hovertemplate": hover,
        "meta": {"family": series.family, "kind": series.kind, "mark": series.mark},
        "legendgroup": series.name,
    }
    if not isinstance(text, str):
        trace["text"] = [html(t) for t in text]
    if series.kind == "band":
        return trace | {
            "x": [*series.x, *reversed(series.x)],
            "y": [*series.high, *reversed(series.low)],
            "mode": "lines",
            "line": {"width": 0, "color": colour},
            "fill": "toself",
            "fillcolor": _faint(colour),
            "hoverinfo": "skip",
            "hovertemplate": None,
        }
    if series.kind == "bars":
        return trace | {
            "orientation": "h",
            "width": 0.7,
            "textposition": "none",
            "marker": {"color": colour},
        }
    if series.kind == "points":
        symbol = _SYMBOLS[look.marker] if look else "circle"
        if series.mark != "finished":
            symbol = "x-thin-open" if series.mark == "diverged" else f"{symbol}-open"
        marker = {"color": colour, "size": 8, "symbol": symbol, "opacity": 0.85}
        marker["line"] = {"width": 1 if series.mark == "finished" else 1.5, "color": colour}
        trace |= {"mode": "markers", "marker": marker}
        if series.low:
            up = [h - x for h, x in zip(series.high, series.x, strict=True)]
            down = [x - low for low, x in zip(series.low, series.x, strict=True)]
            bars = {"array": up, "arrayminus": down, "symmetric": False, "width": 4}
            trace["error_x"] = {"type": "data", **bars, "color": colour}
        return trace
    line = {"color": colour, "width": 2 if look else 3, "dash": look.dash if look else "solid"}
    line["shape"] = "hv" if series.kind == "steps" else "linear"
    return trace | {"mode": "lines", "line": line}


def axis(it: Axis, decades: float = 1.0) -> dict[str, Any]:
    """Return plotly's layout of an axis; its values span this many powers of ten."""
    made: dict[str, Any] = {
        "title": {"text": html(it.label), "standoff": 8, "font": {"size": 13}},
        "automargin": True,
        "type": "log" if it.log else "linear",
        "zeroline": False,
    }
    if it.percent:
        made["tickformat"] = ".0%" if it.span else ".3~p"
    elif it.log and not it.ticks:
        made |= {"dtick": "D2" if decades <= 3 else 1, "tickformat": ".3~g"}
    if it.ticks:
        made |= {"tickvals": [t for t, _ in it.ticks], "ticktext": [html(t) for _, t in it.ticks]}
    if it.span:
        made["range"] = list(reversed(it.span)) if it.reverse else list(it.span)
    elif it.reverse:
        made["autorange"] = "reversed"
    if it.from_zero:
        made["rangemode"] = "tozero"
    return made


def _decades(panel: Panel, side: str) -> float:
    every = [v for s in panel.series for v in getattr(s, side) if v > 0 and isfinite(v)]
    return log10(max(every) / min(every)) if every else 0.0


def _axes(panel: Panel) -> tuple[dict[str, Any], dict[str, Any]]:
    return axis(panel.x, _decades(panel, "x")), axis(panel.y, _decades(panel, "y"))


def guides(panel: Panel, number: str = "") -> dict[str, list[dict[str, Any]]]:
    """Return plotly's shapes and notes of a panel's guides."""
    shapes, notes = [], []
    for guide in panel.guides:
        at = {"xref": f"x{number}", "yref": f"y{number} domain"}
        line = {"color": INK, "width": 1, "dash": "dot"}
        x = log10(guide.x) if panel.x.log else guide.x
        shapes.append(
            {"type": "line", **at, "x0": guide.x, "x1": guide.x, "y0": 0, "y1": 1, "line": line}
        )
        notes.append(
            {
                **at,
                "x": x,
                "y": 1,
                "yanchor": "bottom",
                "text": html(guide.text),
                "showarrow": False,
            }
        )
    return {"shapes": shapes, "annotations": notes}


def height(panel: Panel) -> int:
    """Return the pixels that a panel needs."""
    two_lines = any("\n" in text for _, text in panel.y.ticks)
    return 90 + _ROW_PIXELS[two_lines] * max(3, panel.rows) if panel.rows else _PANEL_PIXELS


def panel_figure(panel: Panel) -> dict[str, Any]:
    """Return a panel as a figure of its own: data and layout."""
    x, y = _axes(panel)
    data = traces(panel)
    for trace in data:  # the page's legend has the families; only other series are named here
        family, kind = trace["meta"]["family"], trace["meta"]["kind"]
        trace["showlegend"] = kind in ("line", "steps") and trace["name"] != (
            family and html(family)
        )
    layout = {"xaxis": x, "yaxis": y, "height": height(panel)}
    layout["showlegend"] = any(trace["showlegend"] for trace in data)
    return {"data": data, "layout": _LAYOUT | layout | guides(panel)}


_LAYOUT: dict[str, Any] = {
    "barmode": "overlay",
    "showlegend": False,
    "hovermode": "closest",
    "margin": {"l": 8, "r": 20, "t": 24, "b": 8},
    "hoverlabel": {"align": "left"},
    "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "bgcolor": "rgba(0,0,0,0)"},
}


def chart_figure(chart: Chart) -> dict[str, Any]:
    """Return a chart as one figure with a legend, its panels beside each other."""
    count, gap = len(chart.panels), 0.14
    wide = (1 - gap * (count - 1)) / count
    data: list[dict[str, Any]] = []
    layout: dict[str, Any] = _LAYOUT | {
        "legend": {},
        "title": {"text": html(chart.title), "subtitle": {"text": html(chart.note)}},
        "showlegend": True,
    }
    layout |= {"margin": {"l": 8, "r": 12, "t": 64, "b": 8}, "shapes": [], "annotations": []}
    layout["height"] = 40 + max(map(height, chart.panels))
    named: set[str] = set()
    for i, panel in enumerate(chart.panels):
        number = str(i + 1) if i else ""
        left = i * (wide + gap)
        x, y = _axes(panel)
        layout[f"xaxis{number}"] = x | {
            "domain": [left, left + wide],
            "anchor": f"y{number}",
        }
        layout[f"yaxis{number}"] = y | {"anchor": f"x{number}"}
        for key, found in guides(panel, number).items():
            layout[key] += found
        for trace in traces(panel, number):
            new = trace["name"] not in named and trace["meta"]["kind"] != "band"
            data.append(trace | {"showlegend": new})
            named |= {trace["name"]} if new else set()
    return {"data": data, "layout": layout}


_PAGE_PIXELS = 450  # the height that the Optuna dashboard leaves a figure
_PAGE_LAYOUT: dict[str, Any] = {
    "height": _PAGE_PIXELS,
    "autosize": True,
    "margin": {"l": 8, "r": 16, "t": 44, "b": 8},
    "legend": {"orientation": "h", "x": 0, "y": -0.18, "yanchor": "top", "font": {"size": 10}},
    "font": {"size": 11},
}


def page_figures(chart: Chart) -> list[dict[str, Any]]:
    """Return the panels of a chart as figures for the Optuna dashboard, each with a legend."""
    figures = []
    for panel in chart.panels:
        figure, lines = panel_figure(panel), not panel.rows
        for trace in figure["data"]:
            trace["showlegend"] = lines
            _shorten(trace)
        which = f": {panel.y.label}" if len(chart.panels) > 1 else ""
        title = {"text": html(chart.title + which), "font": {"size": 14}, "x": 0.02}
        layout = figure["layout"] | _PAGE_LAYOUT | {"showlegend": lines, "title": title}
        if panel.rows:  # one row of text per family, on one line
            ticks = [text.replace("\n(", " (").replace("\n", "") for _, text in panel.y.ticks]
            size = {"size": max(7, min(11, 380 // panel.rows // 2))}
            layout["yaxis"] = layout["yaxis"] | {
                "ticktext": list(map(html, ticks)),
                "tickfont": size,
            }
        figures.append({"data": figure["data"], "layout": layout})
    return figures


def _shorten(trace: dict[str, Any]) -> None:
    """Round the values, and write last lines that all points of a trace share only once."""
    for side in ("x", "y"):
        trace[side] = [short(value) for value in trace[side]]
    ends = {text.partition("<br>")[2] for text in trace.get("text", ())}
    if len(ends) == 1 and len(trace["text"]) > 1:
        trace["text"] = [text.partition("<br>")[0] for text in trace["text"]]
        trace["hovertemplate"] = f"%{{text}}<br>{ends.pop()}<extra></extra>"
