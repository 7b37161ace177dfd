"""report.html: one file that says which schedule, how sure, and how it converged."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from schedsearch.errors import StorageError
from schedsearch.files import write_atomically
from schedsearch.report.answer import Answer, answer
from schedsearch.report.draw.plotly import panel_figure, short
from schedsearch.report.figures import FIGURES
from schedsearch.report.figures.chart import Panel, in_unit
from schedsearch.report.figures.colours import look_of
from schedsearch.report.leaderboard import counted, leaderboard
from schedsearch.report.snapshot import Snapshot
from schedsearch.report.tables import cells
from schedsearch.report.wording import what_is_trained
from schedsearch.store.records import FIDELITY
from schedsearch.store.run import Run
from schedsearch.training.choice.way import OWN

_PAGE = Path(__file__).parent / "page_files"


@dataclass(frozen=True)
class Section:
    """One figure on the page, with the ids of its panels."""

    name: str
    title: str
    about: str
    panels: tuple[str, ...]


@dataclass(frozen=True)
class Chapter:
    """One run on the page."""

    id: str
    name: str
    about: str
    answer: Answer
    head: tuple[str, ...]
    board: tuple[tuple[str, ...], ...]
    sections: tuple[Section, ...]
    provenance: tuple[tuple[str, str], ...]


class _Drawn:
    """The panels of a page. A text that several points show is stored once."""

    def __init__(self) -> None:
        self.panels: list[dict[str, Any]] = []
        self.texts: dict[str, int] = {}

    def add(self, panel: Panel, name: str) -> None:
        figure = panel_figure(panel)
        for trace in figure["data"]:
            if "text" in trace:
                found = trace.pop("text")
                trace["texts"] = [self.texts.setdefault(t, len(self.texts)) for t in found]
            for side in ("x", "y"):
                trace[side] = [short(v) for v in trace[side]]
        self.panels.append({"id": name, **figure})

    def json(self) -> Markup:
        """Return the JSON for the page's script, escaped so that it can't end its element."""
        content = {"panels": self.panels, "texts": list(self.texts)}
        text = json.dumps(content, separators=(",", ":"), allow_nan=False)
        return Markup(text.replace("<", "\\u003c"))


def export_report(runs: Sequence[Run], path: Path) -> None:
    """Write the report of runs: one file that needs no network.

    Raises:
        StorageError: it cannot be written.
    """
    page = report([Snapshot.of(run) for run in runs])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
    write_atomically(path, page.encode())


def report(runs: Sequence[Snapshot]) -> str:
    """Return the page about some runs, as HTML."""
    drawn = _Drawn()
    chapters = [_chapter(run, f"run-{i}", drawn) for i, run in enumerate(runs)]
    families = dict.fromkeys(family for run in runs for family in run.families())
    environment = Environment(
        loader=FileSystemLoader(_PAGE), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("report.html").render(
        title=", ".join(run.name for run in runs),
        made=datetime.now().strftime("%Y-%m-%d %H:%M"),
        chapters=chapters,
        families=[(family, look_of(family)) for family in families],
        style=Markup(_part("report.css")),
        script=Markup(_part("report.js")),
        plotly=Markup((files("plotly") / "package_data" / "plotly.min.js").read_text("utf-8")),
        drawn=drawn.json(),
    )


def _part(name: str) -> str:
    return (_PAGE / name).read_text(encoding="utf-8")


def _chapter(run: Snapshot, chapter_id: str, drawn: _Drawn) -> Chapter:
    config, sections = run.config, []
    for figure in FIGURES:
        table = figure.table(run)
        if table.empty:
            continue
        chart = in_unit(figure.draw(table), config.training.unit)
        names = tuple(f"{chapter_id}-{figure.name}-{i}" for i in range(len(chart.panels)))
        for name, panel in zip(names, chart.panels, strict=True):
            drawn.add(panel, name)
        about = f"{figure.about} {chart.note}." if chart.note else figure.about
        sections.append(Section(figure.name, chart.title, about, names))
    board = counted(leaderboard(run.trials, run.objective), config.training.unit)
    board = board if board["torch_class"].notna().any() else board.drop(columns="torch_class")
    about = what_is_trained(
        config, run.attributes["identity"]
    ) + f", batches of {config.training.batch_size}" * (not config.is_own)
    return Chapter(
        chapter_id,
        run.name,
        about,
        answer(run),
        tuple(name.replace("_", " ") for name in board.columns),
        tuple(tuple(row) for row in cells(board)),
        tuple(sections),
        tuple(_provenance(run)),
    )


def _provenance(run: Snapshot) -> list[tuple[str, str]]:
    made, config = run.attributes["provenance"], run.config
    versions = ", ".join(f"{name} {number}" for name, number in made["versions"].items() if number)
    rows = {
        "made on": f"{made['host']}, {made['platform']}",
        "device": " ".join(filter(None, (made["device"], made["device_name"]))),
        "versions": f"Python {made['python']}, {versions}",
        "commit": made["commit"] or "unknown",
        "engine": _engine(run.attributes.get("engine")),
        "fidelity": run.attributes.get(FIDELITY, {}).get("text", "").removeprefix("fidelity: "),
        "seeds": ", ".join(f"{k} {v}" for k, v in run.attributes["seeds"].items()),
        "search space": run.attributes["fingerprint"],
        "study file": json.dumps(config.model_dump(mode="json"), indent=2, ensure_ascii=False),
    }
    return [(name, text) for name, text in rows.items() if text]


def _engine(engine: dict[str, Any] | None) -> str:
    if engine is None or engine["kind"] == OWN:
        return ""
    many = f", {engine['stack']} trainings at once" if engine.get("stack") else ""
    return f"{engine['kind']}{many}; {engine['reason']}"
