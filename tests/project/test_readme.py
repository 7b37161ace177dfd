"""The README is true: its code runs, its table is the program's, its files and options exist."""

import re
import shutil
import tomllib
from pathlib import Path

import pytest

from schedsearch.cli.app import app
from schedsearch.config import parse_config
from schedsearch.outputs.family_table import as_markdown
from schedsearch.schedules import Schedule

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
TOML = re.findall(r"```toml\n(.*?)```", README, flags=re.DOTALL)


def test_the_family_table_is_what_the_command_prints() -> None:
    table = README.partition("families --markdown` -->\n")[2].partition("<!-- /families -->")[0]
    assert table == as_markdown(), "paste what `schedsearch families --markdown` prints"


@pytest.mark.parametrize("code", PYTHON, ids=range(len(PYTHON)))
def test_code_runs(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "runs" / "digits"
    folder.mkdir(parents=True)
    (folder / "best.json").write_text(Schedule("CosineAnnealingLR", 0.05).to_json())
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})


@pytest.mark.parametrize("code", TOML, ids=range(len(TOML)))
def test_study_snippets_are_accepted(code: str) -> None:
    parse_config({"name": "snippet", "task": "digits", **tomllib.loads(code)})


def test_commands_and_scripts_exist() -> None:
    commands = {command.name or command.callback.__name__ for command in app.registered_commands}  # type: ignore[union-attr]
    for name in re.findall(r"schedsearch (\w+) (?:my|runs|studies)", README):
        assert name in commands
    for script in re.findall(r"(?:^|`)(scripts/\w+)", README, flags=re.MULTILINE):
        assert shutil.which(str(ROOT / script)), script


@pytest.mark.parametrize("study", sorted((ROOT / "studies").glob("*.toml")), ids=lambda p: p.stem)
def test_ready_studies_say_what_they_do_and_are_accepted(study: Path) -> None:
    text = study.read_text()
    head = text.splitlines()[:2]
    assert head[0].startswith("# ")
    assert "minute" in head[1]
    parse_config({"name": study.stem, **tomllib.loads(text)})
