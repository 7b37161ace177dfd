"""The front door: short, explicit, and quick to open."""

import ast
import inspect
import json
import pydoc
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

import schedsearch

ROOT = Path(__file__).parents[2]
SLOW = (
    *("torch", "optuna", "pandas", "numpy", "scipy", "sklearn", "matplotlib", "plotly"),
    *("sqlalchemy", "pydantic", "jinja2", "rich.live"),
)
HEAVY = ("optuna", "pandas", "scipy", "sklearn", "sqlalchemy", "plotly")


def written() -> list[tuple[str, str]]:
    """Return each name in __init__.pyi after the module that it comes from."""
    stub = Path(schedsearch.__file__).with_suffix(".pyi")
    imports = [n for n in ast.parse(stub.read_text()).body if isinstance(n, ast.ImportFrom)]
    assert all(node.level == 1 for node in imports), "lazy_loader reads relative imports only"
    for node in imports:
        assert [alias.asname for alias in node.names] == [alias.name for alias in node.names]
    return [(f"{node.module}", alias.name) for node in imports for alias in node.names]


NAMES = written()
ALL: list[str] = vars(schedsearch)["__all__"]


def kind_then_name(name: str) -> tuple[int, str]:
    """Sort as ruff does: constants, then classes, then functions."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


def test_names_are_written_once_and_sorted() -> None:
    assert sorted(NAMES, key=lambda it: (it[0], kind_then_name(it[1]))) == NAMES
    names = [name for _, name in NAMES]
    assert len(set(names)) == len(names)
    assert set(ALL) == set(dir(schedsearch)) == set(names)


def test_no_name_is_that_of_a_module() -> None:
    """Importing such a module would put it in the place of what it holds."""
    modules = {path.stem for path in Path(schedsearch.__file__).parent.iterdir()}
    assert not modules & set(ALL)


@pytest.mark.parametrize(("module", "name"), NAMES, ids=lambda text: text)
def test_every_name_is_there_and_documented(module: str, name: str) -> None:
    value = getattr(schedsearch, name)
    assert value is getattr(import_module(f"schedsearch.{module}"), name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert value.__module__ == f"schedsearch.{module}", "it is exported from its own module"
        assert value.__doc__
        if inspect.isclass(value):
            assert not value.__doc__.startswith(f"{name}("), "a doc of its own, not dataclasses'"


def test_all_errors_are_there() -> None:
    errors = vars(import_module("schedsearch.errors")).values()
    kinds = {e.__name__ for e in errors if inspect.isclass(e) and issubclass(e, Exception)}
    assert kinds <= set(ALL)
    for name in kinds:
        assert issubclass(getattr(schedsearch, name), schedsearch.SchedsearchError)


def test_an_unknown_name() -> None:
    with pytest.raises(AttributeError, match="No schedsearch attribute nothing"):
        schedsearch.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert schedsearch.__version__ == project["version"] == version("schedsearch")


def test_help_shows_an_example() -> None:
    text = pydoc.plain(pydoc.render_doc(schedsearch))
    assert ">>> schedule = schedsearch.Schedule(" in text
    assert "load_schedule" in text


def imported_by(code: str, watched: tuple[str, ...] = SLOW) -> list[str]:
    """Run code in a fresh Python, and return which of the watched modules it imported."""
    report = f"import json, sys; print(json.dumps([m for m in {watched!r} if m in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_the_front_door_opens_at_once() -> None:
    code = "import schedsearch; dir(schedsearch); schedsearch.SchedsearchError"
    assert imported_by(code) == []


@pytest.mark.parametrize("name", ["FAMILIES", "Schedule", "Float", "Started", "Objective"])
def test_plain_values_import_nothing_slow(name: str) -> None:
    assert imported_by(f"import schedsearch; schedsearch.{name}") == []


def test_building_a_schedule_needs_torch_only(tmp_path: Path) -> None:
    path = tmp_path / "schedule.json"
    path.write_text(schedsearch.Schedule("CosineAnnealingLR", 0.1).to_json())
    code = (
        f"import schedsearch, torch\nschedule = schedsearch.load_schedule({str(path)!r})\n"
        "optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)\n"
        "schedule.build(optimizer, 10)"
    )
    assert imported_by(code, HEAVY) == []


def test_help_imports_nothing_slow() -> None:
    """Neither does the help of any command (pydantic is imported by typer itself)."""
    code = """
import sys
from typer.main import get_command
from schedsearch.cli.app import app, main

for arguments in ([], *([name] for name in get_command(app).commands)):
    sys.argv = ["schedsearch", *arguments, "--help"]
    try:
        main()
    except SystemExit as end:
        assert not end.code, (arguments, end.code)
    else:
        raise AssertionError(arguments)
"""
    watched = tuple(name for name in SLOW if name != "pydantic")
    assert imported_by(code, watched) == []
