"""What the repository says: help with examples, files of a readable length, no foreign paths."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from schedsearch.cli.app import app

ROOT = Path(__file__).parents[2]
COMMANDS: dict[str, Any] = getattr(get_command(app), "commands")  # noqa: B009  # click's groups
each_command = pytest.mark.parametrize("name", COMMANDS)

# A file of more lines is divided.
MOST_LINES = 300

# What a checkout holds beside its own files.
NOT_OURS = ("runs", "data", "build", "dist", "__pycache__", "venv")


def our_files() -> Iterator[Path]:
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [
            name
            for name in folders
            if name not in NOT_OURS
            and not name.endswith(".egg-info")
            and (not name.startswith(".") or name in (".ci", ".github"))
        ]
        yield from (
            Path(folder) / name
            for name in names
            if name != ".git" and not name.startswith(".coverage")  # .git: a file in a worktree
        )


FILES = sorted(our_files())


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def example(name: str) -> list[str]:
    """Return the words of the example in a command's help."""
    outcome = CliRunner().invoke(app, [name, "--help"], terminal_width=200)
    assert outcome.exit_code == 0
    lines = [line.strip() for line in outcome.output.splitlines()]
    (found,) = (line for line in lines if line.startswith("Example:"))
    return found.removeprefix("Example:").split()


def test_all_commands_are_found() -> None:
    assert {"run", "list", "status", "trials", "curves", "delete", "families"} <= set(COMMANDS)


@each_command
def test_every_command_has_a_file_of_its_name(name: str) -> None:
    assert COMMANDS[name].callback.__module__ == f"schedsearch.cli.{name}"


@each_command
def test_every_command_has_help_with_an_example(name: str) -> None:
    words = example(name)
    assert words[:2] == ["schedsearch", name]
    taken = {form for param in COMMANDS[name].params for form in param.opts}
    assert {word for word in words if word.startswith("-")} <= taken


@each_command
def test_every_parameter_has_help(name: str) -> None:
    for param in COMMANDS[name].params:
        assert getattr(param, "help", None), param.name


@pytest.mark.parametrize("path", [p for p in FILES if p.suffix == ".py"], ids=name_of)
def test_files_are_short(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MOST_LINES, f"{lines} lines: divide it"


def test_nothing_of_the_workplace_is_in_the_repository() -> None:
    foreign = [text.encode() for text in ("/work" + "/", ".libr" + "ary", "/tmp/" + "v/")]
    for path in FILES:
        content = path.read_bytes()
        for text in foreign:
            assert text not in content, f"{name_of(path)} holds {text.decode()!r}"
