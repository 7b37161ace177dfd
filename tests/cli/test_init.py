"""`schedsearch init`: what it writes is commented, tried, and never lost."""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schedsearch.config import load_config

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def written(cli: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Return the command, given its options: the file that it wrote."""
    monkeypatch.chdir(tmp_path)

    def call(*options: object) -> Path:
        path = tmp_path / "studies" / "mine.toml"
        code, out, err = cli("init", "-o", path, "--device", "cpu", *options)
        assert (code, err) == (0, "")
        assert str(path) in out
        return path

    return call


def uncommented(text: str) -> dict[str, Any]:
    """Return the file with all of its keys, also those that are left to their defaults."""
    return tomllib.loads(re.sub(r"^# (?=\w+ = )", "", text, flags=re.MULTILINE))


def test_a_study_of_ones_own_fits_and_runs(written: Callable[..., Path], cli: Command) -> None:
    path = written("--task", "user_parts:BLOBS", "--batch-size", 8, "--optimizer", "AdamW")
    config = load_config(path)
    assert (config.name, config.task) == ("mine", "user_parts:BLOBS")
    assert config.training.epochs == 100, "7 batches each: 700 steps"
    text = path.read_text()
    assert "# of 7 steps each: 700 steps" in text
    assert re.search(r"about \d+\.\d minutes here \(cpu\)", text)
    assert re.search(r"# peak_lr = \[0.0001, 0.01\] +# the default of AdamW", text)
    code, out, err = cli("run", path, "--dry-run")
    assert (code, err) == (0, "")
    assert "90 of 100 epochs (700 steps)" in out
    every = uncommented(text)
    assert every["training"]["evals_per_run"] == 20
    assert every["space"]["peak_lr"] == [0.0001, 0.01]
    assert every["fidelity"]["rungs"] == 3
    assert max(map(len, text.splitlines())) <= 120


def test_a_file_is_never_overwritten_unless_told(
    written: Callable[..., Path], refused: Callable[..., str], tmp_path: Path
) -> None:
    path = tmp_path / "studies" / "mine.toml"
    path.parent.mkdir()
    path.write_text("mine")
    assert f"{path} exists" in refused("init", "-o", path, "--task", "user_parts:BLOBS")
    assert path.read_text() == "mine"
    own = ("--batch-size", 8, "--optimizer", "user_parts:TensorRateSGD", "--force")
    config = load_config(written("--task", "user_parts:BLOBS", *own))
    assert config.space.peak_lr == "auto", "of an optimizer of one's own no rates are usual"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--task", "digit"), "unknown task 'digit': did you mean 'digits'?"),
        (("--task", "not_there:TASK"), "cannot import 'not_there'"),
        (("--task", "user_parts:BLOBS", "--batch-size", 61), "60 training rows"),
        (("--task", "user_parts:BLOBS", "--optimizer", "AdamWW"), "did you mean 'AdamW'?"),
    ],
)
def test_what_can_not_be_is_refused_before_anything_is_written(
    refused: Callable[..., str], tmp_path: Path, options: tuple[object, ...], words: str
) -> None:
    assert words in refused("init", "-o", tmp_path / "a" / "b.toml", *options)
    assert not (tmp_path / "a").exists()
