"""The README files are true: code runs, tables are the programs', links and commands exist."""

import re
import runpy
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from schedsearch.cli.app import app
from schedsearch.config import parse_config
from schedsearch.config_tables import Confirmation, Search
from schedsearch.objective import OBJECTIVES
from schedsearch.schedules.schedule import Schedule
from schedsearch.search.samplers import SAMPLERS
from schedsearch.statistics.compare import TESTS

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import make_docs

ROOT = Path(__file__).parents[2]
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text() for path in make_docs.readmes()}
PROSE = {name: re.sub(r"```.*?```", "", text, flags=re.DOTALL) for name, text in PAGES.items()}
README = PAGES["README.md"]
MOST_LINES = 200
each_page = pytest.mark.parametrize("page", PAGES)


def blocks(language: str) -> list[Any]:
    """Return the code blocks of a language, of all pages, each with an id."""
    return [
        pytest.param(code, id=f"{page.removesuffix('README.md')}{i}")
        for page, text in PAGES.items()
        for i, code in enumerate(re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL))
    ]


def files_of(page: str) -> dict[str, str]:
    """Return the code blocks that begin with a file's name: `# mytask.py`."""
    found = re.findall(r"```(?:python|toml)\n# (\w+\.\w+)\n(.*?)```", PAGES[page], flags=re.DOTALL)
    return dict(found)


def anchors(path: Path) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    titles = re.findall(r"^#+ (.+)$", path.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links(page: str) -> Iterator[str]:
    """Yield where a page's links and pictures lead, except to the web."""
    found = re.findall(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"", PROSE[page])
    yield from (link for pair in found for link in pair if link and "://" not in link)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder that has what the examples read: runs/digits/best.json."""
    folder = tmp_path / "runs" / "digits"
    folder.mkdir(parents=True)
    (folder / "best.json").write_text(Schedule("CosineAnnealingLR", 0.05).to_json())
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= MOST_LINES


@each_page
def test_links_and_pictures_exist(page: str) -> None:
    for link in links(page):
        name, _, anchor = link.partition("#")
        path = (ROOT / page).parent / name if name else ROOT / page
        assert path.exists(), link
        assert not anchor or anchor in anchors(path), link


def test_links_are_found() -> None:
    assert {"studies/README.md", "studies/pictures/answer-dark.png"} <= set(links("README.md"))


def test_every_page_is_linked_from_the_first() -> None:
    linked = {(ROOT / link.partition("#")[0]) for link in links("README.md")}
    assert {ROOT / page for page in PAGES} - linked == {ROOT / "README.md"}


def test_every_package_is_in_the_map() -> None:
    package = ROOT / "schedsearch"
    mapped = {
        (package / link.partition("#")[0]).resolve() for link in links("schedsearch/README.md")
    }
    for init in package.glob("*/__init__.py"):
        assert init.parent in mapped, f"{init.parent.name} is not in schedsearch/README.md"


def test_the_registries_are_where_the_map_says() -> None:
    found = re.findall(r"\[([A-Z_]+)\]\(([\w/]+\.py)\)", PAGES["schedsearch/README.md"])
    assert len(found) >= 5
    for name, path in found:
        text = (ROOT / "schedsearch" / path).read_text()
        assert re.search(rf"^{name}\b.* = ", text, flags=re.MULTILINE), f"{name} in {path}"


@each_page
def test_generated_parts_are_new(page: str) -> None:
    assert make_docs.written(PAGES[page]) == PAGES[page], "run scripts/docs"


def test_every_generated_part_stands_somewhere() -> None:
    placed = [found[1] for text in PAGES.values() for found in make_docs.PLACE.findall(text)]
    assert sorted(placed) == sorted(make_docs.PARTS)


@pytest.mark.parametrize("code", blocks("python"))
def test_code_runs(code: str, here: Path) -> None:
    exec(compile(code, "README.md", "exec"), {"__name__": "mine"})


@pytest.mark.parametrize("code", blocks("toml"))
def test_study_snippets_are_accepted(code: str) -> None:
    study = tomllib.loads(code)
    task = {} if "command" in study else {"task": "digits"}
    parse_config({"name": "snippet", **task, **study})


SHORT = """
trials = 3
training = { total_steps = 40, evals_per_run = 4, engine = "reference" }
confirmation = { seeds = 0 }
"""


def test_the_model_of_ones_own_is_searched(
    here: Path, cli: Callable[..., tuple[int, str, str]]
) -> None:
    """By the commands that the README says; the study that `init` writes is then made shorter."""
    for name, content in files_of("README.md").items():
        (here / name).write_text(content)
    made, looked, run = re.findall(r"`schedsearch ((?:init|check|run) [^`]*my\.toml[^`]*)`", README)
    assert cli(*made.split())[0] == 0
    written = tomllib.loads((here / "my.toml").read_text())
    assert written["task"] == "mytask:TASK"
    assert cli(*looked.split())[0] == 0
    (here / "my.toml").write_text(f'task = "{written["task"]}"' + SHORT)
    code, out, err = cli(*run.split(), "--no-report")
    assert (code, err) == (0, "")
    assert "Best, not confirmed on fresh seeds: " in out
    assert "val_macro_f1" in out
    assert (here / "runs" / "my" / "best.json").exists()


def test_the_model_of_ones_own_is_searched_from_python(here: Path) -> None:
    """By the line that the README says, with fewer trials and shorter trainings."""
    names: dict[str, Any] = {"__name__": "mine"}
    exec(files_of("README.md")["mytask.py"], names)
    (line,) = re.findall(r"`(schedsearch\.run_study\(.*?\))`", README)
    study, count = re.subn(r"\"trials\": 60", f"**{tomllib.loads(SHORT)}", line)
    study, again = re.subn(r"\"training\": {", '"training": {"total_steps": 40, ', study)
    assert (count, again) == (1, 1)
    outcome = eval(study, names)
    assert outcome.best_path.exists()
    assert len(outcome.run.trials()) == 3


def test_the_study_script_runs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a fresh folder; it may be no longer than fifteen lines beyond model, data and metric."""
    script = (ROOT / "studies" / "own_task.py").read_text()
    own, _, study = script.partition("\nTASK = ")
    assert "def worst_recall" in own
    assert len([line for line in study.splitlines() if line.strip()]) <= 15
    trials = '"trials": 3, "confirmation": {"seeds": 0}'
    steps = '"total_steps": 40, "evals_per_run": 4, "engine": "reference"'
    short = script.replace('"trials": 60', trials).replace('"total_steps": 600', steps)
    assert trials in short
    assert steps in short
    (here / "own_task.py").write_text(short)
    runpy.run_path("own_task.py", run_name="__main__")
    best, report = map(Path, capsys.readouterr().out.splitlines())
    assert best == Path("runs/own_task/best.json")
    assert "worst_recall" in best.read_text()
    assert "own_task" in report.read_text()


def test_the_family_of_ones_own_is_searched(
    here: Path, cli: Callable[..., tuple[int, str, str]]
) -> None:
    files = files_of("studies/README.md")
    (here / "mine.py").write_text(files["mine.py"])
    (here / "my.toml").write_text('task = "digits"\nfamilies = ["StepLR", "mine:MINE"]\n')
    code, out, err = cli("run", "my.toml", "--dry-run")
    assert (code, err) == (0, "")
    assert "mine:MINE" in out


def commands() -> set[str]:
    """Return the names of the subcommands."""
    named = (command.name or command.callback.__name__ for command in app.registered_commands)  # type: ignore[union-attr]
    return {name.replace("_", "-") for name in named}


@each_page
def test_commands_and_scripts_exist(page: str) -> None:
    text = PAGES[page]
    for name in re.findall(r"^schedsearch ([a-z]\S*)|`schedsearch ([a-z]\w*)", text, re.MULTILINE):
        assert (name[0] or name[1]) in commands()
    for script in re.findall(r"(?:^|`)(scripts/\w+)(?![\w.])", text, flags=re.MULTILINE):
        assert shutil.which(str(ROOT / script)), script


def test_every_command_is_described_for_users() -> None:
    text = PAGES["studies/README.md"]
    for name in commands():
        assert re.search(rf"schedsearch {name}\b|`{name}`", text), name


def test_every_key_says_what_it_means_and_when_to_touch_it() -> None:
    """`keys` refuses a key whose docstring has not two paragraphs."""
    rows = [line for line in make_docs.keys().splitlines() if line.startswith("| `")]
    assert len(rows) > 30
    for row in rows:
        _, name, *cells, _ = re.split(r"(?<!\\)\|", row)
        assert all(cell.strip() for cell in cells), name


@pytest.mark.parametrize(
    ("table", "key", "registry"),
    [
        (Search, "objective", OBJECTIVES),
        (Search, "sampler", SAMPLERS),
        (Confirmation, "test", TESTS),
    ],
)
def test_a_key_names_all_that_its_registry_holds(table: Any, key: str, registry: Any) -> None:
    """A registry maps names to things, or holds records that have a name."""
    about = " ".join(table.model_fields[key].description.split())
    for each in registry:
        assert f'"{getattr(each, "name", each)}"' in about


@pytest.mark.parametrize("study", sorted((ROOT / "studies").glob("*.toml")), ids=lambda p: p.stem)
def test_ready_studies_say_what_they_do_and_are_accepted(study: Path) -> None:
    text = study.read_text()
    head = text.splitlines()[:2]
    assert head[0].startswith("# ")
    assert "minute" in head[1]
    parse_config({"name": study.stem, **tomllib.loads(text)})
    assert f"({study.name})" in PAGES["studies/README.md"]
