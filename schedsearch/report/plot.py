"""Figures of a run: for a notebook, and as files."""

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from schedsearch.errors import RunError
from schedsearch.files import write_atomically
from schedsearch.report.draw.matplotlib import paint, save_figure
from schedsearch.report.draw.plotly import chart_figure
from schedsearch.report.figures import find_figure
from schedsearch.report.figures.chart import Chart, in_unit
from schedsearch.report.snapshot import Snapshot
from schedsearch.store.run import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Picture
    from plotly.graph_objects import Figure as Interactive


def chart_of(run: Run, kind: str) -> Chart:
    """Return a figure of a run as a chart, which is not drawn yet.

    Raises:
        ScheduleError: no such kind.
        RunError: the run has nothing for it.
    """
    figure = find_figure(kind)
    seen = Snapshot.of(run)
    table = figure.table(seen)
    if table.empty:
        raise RunError(f"the run {run.name!r} has nothing for the figure {kind!r} yet")
    return in_unit(figure.draw(table), seen.config.training.unit)


def plot(run: Run, kind: str = "convergence") -> "Interactive":
    """Return a figure of a run for a notebook, with hover and a legend to click.

    Args:
        run: the run.
        kind: a name of `FIGURES`: convergence, rates, families, compute ...

    Raises:
        ScheduleError: no such kind.
        RunError: the run has nothing for it.
    """
    from plotly.graph_objects import Figure

    return Figure(chart_figure(chart_of(run, kind)))


def picture(run: Run, kind: str = "convergence") -> "Picture":
    """Return a figure of a run as a matplotlib figure; raises what `plot` does."""
    return paint(chart_of(run, kind))


def save_plot(run: Run, kind: str, path: Path) -> None:
    """Write a figure of a run: .html for a browser, else a picture (.png, .svg, .pdf).

    Raises:
        StorageError: a path that can't be written.
        ScheduleError: an ending that is not known; and what `plot` raises.
    """
    if path.suffix == ".html":
        import plotly.io

        page = plotly.io.to_html(
            plot(run, kind), include_plotlyjs=True, config={"displaylogo": False}
        )
        title = escape(f"{run.name}: {kind}")
        page = page.replace("<head>", f"<head><title>{title}</title>", 1)
        write_atomically(path, page.encode())
        return
    save_figure(picture(run, kind), path)
