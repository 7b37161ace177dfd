"""A run knows a trainer of the user's own by what stands in its script."""

from pathlib import Path

import pytest

from schedsearch.tasks.identity import task_changes
from schedsearch.training.own.identity import trainer_identity
from schedsearch.training.own.task import OwnTask

SCRIPT = "path = 'data/train'\nprint(1 / 2)\n"


def changes(tmp_path: Path, new: str) -> list[str]:
    """Return what is said of a script after a change."""
    script = tmp_path / "train.py"
    command = ("python", str(script), "{schedule}", "{total_steps}", "{seed}")
    found = []
    for text in (SCRIPT, new):
        script.write_text(text)
        found.append(trainer_identity(OwnTask("train.py", command)))
    return task_changes(*found)


@pytest.mark.parametrize("new", ["1 / 3", "1 + 2"])
def test_a_changed_script_is_said(tmp_path: Path, new: str) -> None:
    words = ["task.file.train.py: train.py -> train.py with other content"]
    assert changes(tmp_path, SCRIPT.replace("1 / 2", new)) == words


def test_a_comment_is_no_change(tmp_path: Path) -> None:
    assert changes(tmp_path, f"# a comment\n{SCRIPT}") == []
