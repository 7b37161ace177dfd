"""A figure that is added to FIGURES is in the help, on the command line and in the report."""

import subprocess
import sys
from pathlib import Path

CODE = """
import sys
import pandas as pd
from schedsearch.report import figures
from schedsearch.report.figures.chart import Axis, Chart, Panel, Series
from schedsearch.report.figures.figure import Figure

def table(run):
    return run.trials[["trial"]]

def draw(trials):
    x = tuple(map(float, trials["trial"]))
    panel = Panel(Axis("trial"), Axis("again"), (Series("mine", "line", x, x, "mine"),))
    return Chart("A figure of mine", (panel,))

figures.FIGURES += (Figure("mine", "What I wanted to see.", table, draw),)
from schedsearch.cli.app import main
sys.argv = ["schedsearch", *sys.argv[1:]]
main()
"""


def call(*args: object) -> str:
    command = [sys.executable, "-c", CODE, *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_an_added_figure_works_everywhere(finished: Path, tmp_path: Path) -> None:
    assert "budget, mine." in " ".join(call("plot", "--help").split())
    picture, page = tmp_path / "mine.png", tmp_path / "page.html"
    call("plot", finished, "--kind", "mine", "-o", picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    call("report", finished, "-o", page)
    assert "A figure of mine" in page.read_text()
    assert "What I wanted to see." in page.read_text()
