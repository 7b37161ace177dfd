"""To add one of each extension point, one record is added in one place; then it works everywhere.

The package is copied, one of each is added to the copy as a contributor would, and the copy is
used: help, validation, a study, its report, plots, exports. `schedsearch/README.md` has the list.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import schedsearch

# A file of its own for what is added: place in the package -> content.
NEW_FILES = {
    "schedules/families/mine.py": '''
"""A family."""
from schedsearch.schedules.families.common import Params, torch_schedulers
from schedsearch.schedules.family import Family, Span
from schedsearch.schedules.params import Float


def _build(optimizer: object, p: Params, span: Span) -> object:
    return torch_schedulers.StepLR(optimizer, span.steps(p["every_frac"]), 0.5)


MINE = Family(
    "Mine",
    "Halved every every_frac of the run.",
    (Float("every_frac", 0.2, 0.5, 0.25, above=0.0, at_most=1.0, about="fraction"),),
    _build,
    torch_class="StepLR",
    formula="0.5^floor(t / every_frac)",
    look=19,
)
''',
    "tasks/mine.py": '''
"""A task: digits with fewer rows."""
from dataclasses import replace
from schedsearch.tasks.digits import DIGITS

MINE = replace(DIGITS, name="mine", about="A task of mine.")
''',
    "report/figures/mine.py": '''
"""A figure."""
from schedsearch.report.figures import budget
from schedsearch.report.figures.figure import Figure
from dataclasses import replace


def _draw(table):
    return replace(budget.draw(table), title="A figure of mine")


FIGURE = Figure("mine", "How to read it.", budget.table, _draw)
''',
    "export/mine.py": '''
"""An export format."""
from schedsearch.export.exporter import Exporter

MINE = Exporter("mine", "the family", ".txt", lambda schedule, content, steps: schedule.family)
''',
    "cli/mine.py": '''
"""A command."""
import typer


def mine() -> None:
    """Say hello.

    Example:  schedsearch mine
    """
    typer.echo("hello")
''',
}

# The one place that lists it: file -> (line that it is added before, what is added, and where).
RECORDS = {
    "schedules/families/__init__.py": [
        (
            "from schedsearch.schedules.family import",
            "from schedsearch.schedules.families import mine\n",
        ),
        ("    plateau.PLATEAU_AND_COSINE,\n", "    mine.MINE,\n"),
    ],
    "tasks/registry.py": [
        ("from schedsearch.tasks.task import", "from schedsearch.tasks.mine import MINE\n"),
        ("DIGITS, FASHION_MNIST", "MINE, "),
    ],
    "search/samplers.py": [
        ('    Sampler(\n        "TPE",', '    Sampler("mine", "A sampler of mine.", _random),\n'),
    ],
    "training/engines.py": [
        (
            '    Engine(\n        "fused",',
            '    Engine("mine", "An engine of mine.", many=False, why_not=lambda recipe: None,\n'
            "           ways=_my_ways, prepare=_prepare_loop),\n",
        ),
        (
            "# The first trains any job",
            "def _my_ways(recipe, demand):\n"
            "    from schedsearch.training.choice.loop_ways import loop_ways\n\n"
            '    return loop_ways("mine", recipe, demand)\n\n\n',
        ),
    ],
    "report/figures/__init__.py": [
        ("    families,\n", "    mine,\n"),
        ("    winner.FIGURE,\n", "    mine.FIGURE,\n"),
    ],
    "export/__init__.py": [
        ("from schedsearch.files", "from schedsearch.export import mine\n"),
        ("    json.JSON,\n", "    mine.MINE,\n"),
    ],
    "statistics/compare.py": [
        ('    "welch": ("Welch', '    "mine": ("a test of mine", _welch),\n'),
    ],
    "cli/app.py": [
        ("from schedsearch.cli.plot import", "from schedsearch.cli.mine import mine\n"),
        ('app.command("run")(run)\n', 'app.command("mine")(mine)\n'),
    ],
}

STUDY = """
name = "all-mine"
task = "mine"
families = ["Mine", "Constant"]
trials = 6
[training]
total_steps = 60
evals_per_run = 4
engine = "mine"
[search]
sampler = "mine"
[space]
warmup = "none"
[confirmation]
finalists = 2
seeds = 4
test = "mine"
"""

Command = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """Return the command of a copy of the package to which one of each was added."""
    folder = tmp_path_factory.mktemp("extended")
    package = folder / "schedsearch"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(schedsearch.__file__).parent, package, ignore=ignored)
    for place, content in NEW_FILES.items():
        (package / place).write_text(content.lstrip())
    for place, additions in RECORDS.items():
        text = (package / place).read_text()
        for before, added in additions:
            assert text.count(before) == 1, (place, before)
            text = text.replace(before, added + before)
        (package / place).write_text(text)
    (folder / "study.toml").write_text(STUDY)
    environment = os.environ | {"PYTHONPATH": str(folder), "COLUMNS": "200"}

    def command(*args: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "schedsearch", *args],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    return command


@pytest.fixture(scope="module")
def ran(extended: Command) -> str:
    """Return what the study printed that uses one of each."""
    code, out = extended("run", "study.toml")
    assert code == 0, out
    return out


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (("families",), "Mine"),
        (("families", "--markdown"), "| Mine | StepLR |"),
        (("families", "Mine"), "0.5^floor(t / every_frac)"),
        (("tasks",), "A task of mine."),
        (("run", "--help"), "mine"),
        (("plot", "--help"), "mine"),
        (("export", "--help"), "mine"),
        (("mine",), "hello"),
        (("mine", "--help"), "Say hello."),
        (("--help",), "mine"),
    ],
    ids=" ".join,
)
def test_it_is_listed_and_helped(extended: Command, arguments: tuple[str, ...], shown: str) -> None:
    code, out = extended(*arguments)
    assert code == 0, out
    assert shown in out


def test_a_study_uses_one_of_each(ran: str, extended: Command) -> None:
    assert "engine: mine" in ran
    assert "Mine" in ran
    assert "a test of mine on 4 fresh seeds" in ran
    code, out = extended("status", "runs/all-mine")
    assert code == 0
    assert "mine (mlp)" in out


@pytest.mark.usefixtures("ran")
def test_the_report_and_the_outputs_know_it(extended: Command, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    code, out = extended("report", "runs/all-mine", "-o", str(page))
    assert code == 0, out
    assert "A figure of mine" in page.read_text()
    assert "Mine" in page.read_text()
    code, out = extended("plot", "runs/all-mine", "--kind", "mine", "-o", str(tmp_path / "a.png"))
    assert code == 0, out
    text = tmp_path / "a.txt"
    code, out = extended("export", "runs/all-mine", "--to", "mine", "-o", str(text))
    assert code == 0, out
    assert text.read_text() in ("Mine", "Constant", "CosineAnnealingLR")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "study.toml", "--engine", "mina"), "did you mean 'mine'"),
        (("plot", "runs/all-mine", "--kind", "mina"), "did you mean 'mine'"),
        (("export", "runs/all-mine", "--to", "mina"), "did you mean 'mine'"),
        (("families", "Mina"), "did you mean 'Mine'"),
        (("nothing",), "nothing"),
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("ran")
def test_a_misspelt_name_is_answered_with_it(
    extended: Command, arguments: tuple[str, ...], words: str
) -> None:
    code, out = extended(*arguments)
    assert code == 2
    assert words in out
    assert "Traceback" not in out
