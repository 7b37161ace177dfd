"""Commands of the user's own: their words, checked before a study starts."""

import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from schedsearch.errors import ConfigError, unknown

NEEDED = ("schedule", "total_steps", "seed")
PLACEHOLDERS = (*NEEDED, "last_step", "slot")
"""What a command may hold in braces.

schedule: the path of a file for `load_schedule`. total_steps: the horizon. seed: decides weights
and batches. last_step: where the training may end, before total_steps at a rung that cuts it.
slot: 0, 1, ... for each of the trainings at a time, to choose a GPU by.
"""
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_PYTHON = ("python", "python3")


def checked_command(words: Sequence[str]) -> tuple[str, ...]:
    """Return a command with its program and files found.

    `python` is the Python that runs this. A file that is named and does not lie in the current
    folder is looked for where modules are: beside the study file first.

    Args:
        words: the words of the command, with PLACEHOLDERS.

    Raises:
        ConfigError: no such program or script, an unknown placeholder, or one that is missing.

    >>> words = ["echo", "{schedule}", "{total_steps}"]
    >>> checked_command(words)
    Traceback (most recent call last):
    ...
    schedsearch.errors.ConfigError: command: no word of it holds {seed}, which each training needs
    """
    if not words:
        raise ConfigError("command = [] is not allowed: it names a program and its arguments")
    held = [name for word in words for name in _PLACEHOLDER.findall(word)]
    for name in held:
        if name not in PLACEHOLDERS:
            raise ConfigError(f"command: {unknown('placeholder', name, PLACEHOLDERS)}")
    for name in NEEDED:
        if name not in held:
            raise ConfigError(f"command: no word of it holds {{{name}}}, which each training needs")
    program, *rest = words
    if program in _PYTHON:
        program = sys.executable
    found = shutil.which(_beside(program))
    if found is None:
        raise ConfigError(f"command: there is no program {program!r}")
    arguments = [_beside(word) for word in rest]
    is_python = Path(program).name.startswith("python")
    if is_python and rest and rest[0].endswith(".py") and not Path(arguments[0]).is_file():
        raise ConfigError(
            f"command: there is no file {rest[0]!r} in {Path.cwd()}, nor beside the study file"
        )
    return (found, *arguments)


def filled(command: Sequence[str], values: Mapping[str, object]) -> list[str]:
    """Return a command's words with the values of its placeholders.

    >>> filled(["train", "--steps={total_steps}", "{}"], {"total_steps": 60})
    ['train', '--steps=60', '{}']
    """
    return [_PLACEHOLDER.sub(lambda found: str(values[found[1]]), word) for word in command]


def _beside(word: str) -> str:
    """Return the path of a file that a word names, if it lies beside the study file only."""
    if _PLACEHOLDER.search(word) or not Path(word).suffix or Path(word).exists():
        return word
    places = (Path(folder) / word for folder in sys.path)
    return next((str(path) for path in places if path.is_file()), word)
