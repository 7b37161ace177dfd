"""What the tests share: tiny studies on real data, and the command."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import hypothesis
import optuna
import pytest

from schedsearch import StudyConfig, run_study
from schedsearch.cli.app import main
from schedsearch.config import parse_config
from schedsearch.launch import Outcome

pytest_plugins = ("processes", "servers")

# No property is one of wall time: a busy machine is no counterexample.
hypothesis.settings.register_profile("schedsearch", deadline=None)
hypothesis.settings.load_profile("schedsearch")

# What a tiny study draws follows from these, and from their order.
EIGHT = (
    *("Constant", "StepLR", "MultiStepLR", "ExponentialLR", "LinearLR", "CosineAnnealingLR"),
    *("OneCycleLR", "ReduceLROnPlateau"),
)

# 60 steps of the small perceptron: some 30 ms a trial.
TINY: dict[str, Any] = {
    "name": "tiny",
    "task": "digits",
    "model": "mlp",
    "families": list(EIGHT),
    "trials": 4,
    "training": {"total_steps": 60, "evals_per_run": 5},
    "space": {"peak_lr": [0.01, 1.0]},
    "search": {"sampler": "random", "batch": 2},
    "fidelity": {"kind": "full"},
    "confirmation": {"seeds": 0},
}


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a study's tables with changes, those in [training], [space], [search] one by one."""
    result = dict(base)
    for key, value in changes.items():
        inside = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if inside else value
    return result


def toml(table: Mapping[str, Any], path: str = "") -> str:
    """Write a study's tables as TOML (whose strings, numbers and lists are those of JSON)."""
    lines = [f"{k} = {json.dumps(v)}" for k, v in table.items() if not isinstance(v, dict)]
    for key, value in table.items():
        if isinstance(value, dict):
            name = f"{path}{json.dumps(key)}"
            lines += [f"[{name}]", toml(value, f"{name}.")]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="session")
def make_config() -> Callable[..., StudyConfig]:
    """Return a maker of tiny studies, with what is to differ."""

    def make(**changes: Any) -> StudyConfig:
        return parse_config(merged(TINY, changes))

    return make


@pytest.fixture
def study_file(tmp_path: Path) -> Callable[..., Path]:
    """Return a writer of tiny study files, with what is to differ (also what is not allowed)."""

    def write(**changes: Any) -> Path:
        path = tmp_path / f"{uuid4().hex[:8]}.toml"
        path.write_text(toml(merged(TINY, changes)))
        return path

    return write


@pytest.fixture
def runs_dir(tmp_path: Path) -> Path:
    """Return where this test's runs are; not made yet."""
    return tmp_path / "runs"


@pytest.fixture
def launch(make_config: Callable[..., StudyConfig], runs_dir: Path) -> Callable[..., Outcome]:
    """Return `run_study` for tiny studies; `run_options` are its own."""

    def run(*, run_options: Mapping[str, Any] | None = None, **changes: Any) -> Outcome:
        options: dict[str, Any] = {"runs_dir": runs_dir, "device": "cpu", "report": False}
        return run_study(make_config(**changes), **(options | dict(run_options or {})))

    return run


@pytest.fixture(scope="session")
def finished(
    make_config: Callable[..., StudyConfig], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return the folder of a run to read from: 8 finished trials of eight families."""
    runs = tmp_path_factory.mktemp("runs")
    config = make_config(name="finished", trials=8, search={"batch": 4})
    outcome = run_study(config, runs_dir=runs, device="cpu", report=False)
    outcome.run.storage.engine.dispose()
    return outcome.best_path.parent


@pytest.fixture
def cli(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Return the command, called in this process: exit code, standard output, standard error."""

    def call(*args: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["schedsearch", *map(str, args)])
        monkeypatch.setenv("COLUMNS", "200")
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def refused(cli: Callable[..., tuple[int, str, str]]) -> Callable[..., str]:
    """Return the command for calls that are refused: it gives the one line that they print."""

    def call(*args: object) -> str:
        code, out, err = cli(*args)
        assert "Traceback" not in out + err
        assert len(err.splitlines()) == 1, err
        assert code == 2
        assert out == ""
        assert err.startswith("schedsearch: ")
        return err

    return call


@pytest.fixture(autouse=True)
def _optuna_is_quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
