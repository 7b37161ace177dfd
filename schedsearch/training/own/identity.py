"""What a trainer of the user's own is known by: the command, and what stands in its files."""

import ast
from pathlib import Path
from typing import Any

from schedsearch.imports import import_path
from schedsearch.tasks.fingerprint import fingerprint
from schedsearch.training.own.task import OwnTask


def trainer_identity(task: OwnTask) -> dict[str, Any]:
    """Return what a trainer is known by, by dotted name, as `task_identity` does for a task.

    What a script imports is not looked at.
    """
    if task.words == task.name:
        function = task.function or import_path(task.name, "trainer")
        return {"task.trainer": {"about": task.name, "digits": fingerprint(function)}}
    files = [Path(word) for word in task.command[1:] if Path(word).is_file()]
    return {
        f"task.file.{file.name}": {"about": file.name, "digits": fingerprint(_content(file))}
        for file in files
    }


def _content(file: Path) -> bytes:
    """Return what stands in a file; of Python, without comments and positions."""
    data = file.read_bytes()
    if file.suffix == ".py":
        try:
            return ast.unparse(ast.parse(data)).encode()
        except (SyntaxError, ValueError):
            pass
    return data
