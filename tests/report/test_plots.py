"""Figures as files and in notebooks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib.image
import pytest
from made_runs import confirmed_run, made_run, made_trial, many
from matplotlib import pyplot

from schedsearch import FAMILIES, Schedule, Warmup, open_run, plot
from schedsearch.errors import RunError, ScheduleError
from schedsearch.report.draw.matplotlib import paint
from schedsearch.report.draw.plotly import chart_figure
from schedsearch.report.figures import FIGURES
from schedsearch.report.figures.colours import look_of
from schedsearch.report.plot import picture


@pytest.mark.parametrize("figure", FIGURES, ids=lambda f: f.name)
def test_every_figure_is_painted_and_is_one_for_plotly(figure: Any) -> None:
    from plotly.graph_objects import Figure

    trials = [*many(60), made_trial(60, "StepLR", rungs=[(200, 0.5)])]
    run = made_run(trials) if figure.name == "fidelity" else confirmed_run()
    falling = [2.3] * 80 + [2.3 - i / 20 for i in range(40)] + [1.0 + i for i in range(30)]
    rates = [1e-6 * 1.114**i for i in range(150)]
    run.attributes["range_test"] = {"rates": rates, "losses": [falling] * 2, "seconds": 1.0}
    chart = figure.draw(figure.table(run))
    made = Figure(chart_figure(chart))  # plotly checks every key and value
    assert len(made.data) == sum(len(panel.series) for panel in chart.panels)
    painted = paint(chart)
    assert len(painted.axes) == len(chart.panels)
    painted.draw_without_rendering()
    for axes, panel in zip(painted.axes, chart.panels, strict=True):
        assert axes.get_xlabel() == panel.x.label
        drawn = len(axes.lines) + len(axes.collections) + len(axes.containers)
        intervals = sum(s.kind == "points" and bool(s.low) for s in panel.series)
        assert drawn == len(panel.series) + intervals + len(panel.guides)


def test_a_figure_of_a_notebook_has_a_legend_with_each_family_once(finished: Path) -> None:
    made = plot(open_run(finished))
    named = [trace.name for trace in made.data if trace.showlegend]
    assert sorted(named) == sorted(set(open_run(finished).trials()["family"]))
    for trace in made.data:
        assert trace.line.color == look_of(trace.name).colour
    assert made.layout.title.text == "Convergence of the best of each family"
    assert made._repr_html_()


def test_a_band_is_no_entry_of_the_legend_and_goes_with_its_line() -> None:
    chart = next(f for f in FIGURES if f.name == "convergence")
    drawn = chart.draw(chart.table(confirmed_run()))
    made = chart_figure(drawn)
    bands = [trace for trace in made["data"] if trace["meta"]["kind"] == "band"]
    assert len(bands) == 2 * sum(s.kind == "band" for s in drawn.panels[0].series) > 2
    for band in bands:
        assert not band["showlegend"]
        line = next(t for t in made["data"] if t["showlegend"] and t["name"] == band["name"])
        assert band["legendgroup"] == line["legendgroup"]
        assert len(band["x"]) == len(band["y"])
    labels = [text.get_text() for text in paint(drawn).legends[0].get_texts()]
    assert len(set(labels)) == len(labels) == sum(t["showlegend"] for t in made["data"])


def test_unknown_kinds_and_empty_figures_are_messages(finished: Path) -> None:
    with pytest.raises(ScheduleError, match="did you mean 'families'"):
        plot(open_run(finished), "family")
    with pytest.raises(RunError, match="nothing for the figure 'importance'"):
        picture(open_run(finished), "importance")


@pytest.mark.parametrize("ending", ["png", "svg", "html"])
def test_the_command_writes_files(
    cli: Callable[..., Any], finished: Path, tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"figure.{ending}"
    assert cli("plot", finished, "--kind", "rates", "-o", path) == (0, f"{path}\n", "")
    if ending == "png":
        assert matplotlib.image.imread(path).shape[1] > 800
    elif ending == "svg":
        assert ElementTree.parse(path).getroot().tag.endswith("svg")
    else:
        text = path.read_text()
        assert "<title>finished: rates</title>" in text
        assert "cdn.plot.ly/plotly" not in text.replace("cdn.plot.ly/un", "")


@pytest.mark.parametrize("ending", ["xyz", "htm"])
def test_an_unknown_ending_is_a_message(
    cli: Callable[..., Any], finished: Path, tmp_path: Path, ending: str
) -> None:
    code, _, err = cli("plot", finished, "-o", tmp_path / f"figure.{ending}")
    assert (code, err.count("\n")) == (2, 1)
    assert "cannot write" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("family", [family.name for family in FAMILIES])
def test_a_schedule_draws_itself_in_a_notebook(family: str) -> None:
    schedule = Schedule(family, 0.1, {}, Warmup(0.1))
    root = ElementTree.fromstring(schedule._repr_html_())
    (line,) = root.iter("polyline")
    points = [tuple(map(float, p.split(","))) for p in line.attrib["points"].split()]
    rates = schedule.trace(240, metrics=[1.0] * 20 if schedule.reacts_to_metric else None)
    assert len(points) == 2 * 240
    assert min(y for _, y in points) == 12.0, "the highest rate is at the top"
    assert points[rates.index(max(rates)) * 2][1] == 12.0
    assert family in "".join(root.itertext())


def test_a_schedule_plots_on_given_axes_or_on_its_own() -> None:
    schedule = Schedule("CosineAnnealingLR", 0.1)
    axes = schedule.plot(50)
    assert list(axes.lines[0].get_ydata()) == schedule.trace(50)  # type: ignore[arg-type]
    assert schedule.plot(50, axes=axes) is axes
    assert len(axes.lines) == 2
    pyplot.close(axes.figure)  # type: ignore[arg-type]
