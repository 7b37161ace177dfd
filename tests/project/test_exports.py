"""The front door: short, explicit, and quick to open."""

import ast
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import schedsearch

SLOW = ("torch", "optuna", "pandas", "numpy", "sklearn", "matplotlib", "sqlalchemy")


def kind_then_name(name: str) -> tuple[int, str]:
    """Sort as ruff does: constants, then classes, then functions."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


def test_all_is_sorted_and_has_homes() -> None:
    assert schedsearch.__all__ == sorted(set(schedsearch.__all__), key=kind_then_name)
    assert set(schedsearch.__all__) == set(schedsearch._HOMES)
    assert dir(schedsearch) == sorted(schedsearch.__all__)


def test_type_checkers_see_the_same_names() -> None:
    """What is imported under TYPE_CHECKING is what `_HOMES` says."""
    tree = ast.parse(Path(schedsearch.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == schedsearch._HOMES


@pytest.mark.parametrize("name", schedsearch.__all__)
def test_every_name_is_there_and_documented(name: str) -> None:
    value = getattr(schedsearch, name)
    home = schedsearch._HOMES[name]
    assert value is getattr(import_module(home), name)
    assert name in import_module(home).__all__ if hasattr(import_module(home), "__all__") else True
    if callable(value):
        assert value.__doc__


def test_an_unknown_name() -> None:
    with pytest.raises(AttributeError, match="module 'schedsearch' has no attribute 'nothing'"):
        schedsearch.nothing  # noqa: B018


def imported_by(code: str) -> list[str]:
    """Run code in a fresh Python, and give which of the slow modules it imported."""
    report = f"import json, sys; print(json.dumps([m for m in {SLOW!r} if m in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_the_front_door_opens_at_once() -> None:
    code = "import schedsearch; dir(schedsearch); schedsearch.SchedsearchError"
    assert imported_by(code) == []
    assert imported_by("import schedsearch; schedsearch.load_config") == []


def test_help_imports_nothing_slow() -> None:
    """Neither does the help of any command: it must come in under half a second."""
    code = """
import sys
from typer.main import get_command
from schedsearch.cli import main
from schedsearch.cli.app import app

for arguments in ([], *([name] for name in get_command(app).commands)):
    sys.argv = ["schedsearch", *arguments, "--help"]
    try:
        main()
    except SystemExit as end:
        assert not end.code, (arguments, end.code)
    else:
        raise AssertionError(arguments)
"""
    assert imported_by(code) == []
