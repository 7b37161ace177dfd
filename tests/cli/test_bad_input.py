"""A person's mistake is one line that says what to do, exit code 2, and nothing is written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

StudyFile = Callable[..., Path]

STUDIES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "unknown family": ({"families": ["StepRL"]}, ["'StepRL'", "did you mean 'StepLR'?"]),
    "no family": ({"families": []}, ["at least one family"]),
    "family twice": ({"families": ["StepLR", "StepLR"]}, ["names 'StepLR' twice"]),
    "family of a missing module": ({"families": ["nowhere:F"]}, ["nowhere", "cannot import"]),
    "family that is none": ({"families": ["os:system"]}, ["os:system must be"]),
    "unknown task": ({"task": "digit"}, ["'digit'", "did you mean 'digits'?"]),
    "task of a missing module": ({"task": "nowhere:T"}, ["nowhere", "cannot import"]),
    "task that is none": ({"task": "os:environ"}, ["not a schedsearch.TaskSource"]),
    "unknown model": ({"model": "mpl"}, ["'mpl'", "did you mean 'mlp'?"]),
    "unknown optimizer": ({"training": {"optimizer": "AdamWW"}}, ["did you mean 'AdamW'?"]),
    "optimizer that needs a closure": ({"training": {"optimizer": "LBFGS"}}, ["'LBFGS'"]),
    "optimizer's argument": (
        {"training": {"optimizer_args": {"momentun": 0.9}}},
        ["optimizer SGD", "momentun"],
    ),
    "optimizer's impossible argument": (
        {"training": {"optimizer_args": {"momentum": -1.0}}},
        ["optimizer SGD", "momentum"],
    ),
    "optimizer's lr": ({"training": {"optimizer_args": {"lr": 0.1}}}, ["peak_lr is the rate"]),
    "unknown sampler": ({"search": {"sampler": "TPES"}}, ["'TPES'", "did you mean 'TPE'?"]),
    "sampler's argument": (
        {"search": {"sampler": "TPE", "sampler_args": {"n_start": 1}}},
        ["sampler TPE", "n_start"],
    ),
    "sampler's seed": ({"search": {"sampler_args": {"seed": 1}}}, ["the study's seed decides"]),
    "unknown pruner": (
        {"search": {"pruner": "MedianPrunr"}},
        ["'MedianPrunr'", "did you mean 'MedianPruner'?"],
    ),
    "pruner's argument": (
        {"search": {"pruner": "MedianPruner", "pruner_args": {"n": 1}}},
        ["pruner MedianPruner"],
    ),
    "unknown key": ({"trails": 3}, ["'trails'", "did you mean 'trials'?"]),
    "unknown key in a table": (
        {"training": {"total_step": 10}},
        ["training", "total_step'", "did you mean '", "total_steps'?"],
    ),
    "unknown key in [search]": (
        {"search": {"samplr": "TPE"}},
        ["search", "samplr'", "sampler'?"],
    ),
    "unknown table": ({"trainig": {"total_steps": 10}}, ["'trainig'", "'training'"]),
    "range of an unknown parameter": (
        {"ranges": {"StepLR": {"gama": 0.1}}},
        ["ranges.StepLR", "'gama'", "did you mean 'gamma'?"],
    ),
    "range of a family not searched": (
        {"families": ["StepLR"], "ranges": {"SWALR": {"swa_factor": 0.1}}},
        ["'SWALR'"],
    ),
    "range upside down": ({"space": {"peak_lr": [1.0, 0.1]}}, ["space.peak_lr", "above"]),
    "range from zero on a log scale": ({"space": {"peak_lr": [0.0, 0.1]}}, ["space.peak_lr"]),
    "range of three": ({"space": {"peak_lr": [0.1, 0.2, 0.3]}}, ["space.peak_lr"]),
    "range of one": ({"space": {"peak_lr": [0.1]}}, ["space.peak_lr"]),
    "range of text": ({"space": {"peak_lr": "high"}}, ["space.peak_lr"]),
    "range outside what is legal": (
        {"ranges": {"StepLR": {"gamma": [0.5, 7.0]}}},
        ["ranges.StepLR.gamma", "at most 1"],
    ),
    "choice that is none": (
        {"ranges": {"OneCycleLR": {"anneal_strategy": ["cosine"]}}},
        ["ranges.OneCycleLR.anneal_strategy", "'cosine'", "'cos'"],
    ),
    "warm-up longer than the run": ({"space": {"warmup_frac": [0.5, 1.5]}}, ["space.warmup_frac"]),
    "warm-up rule": ({"space": {"warmup": "sometimes"}}, ["space.warmup", "'sometimes'"]),
    "horizon too short for the warm-up": (
        {"training": {"total_steps": 20}, "space": {"warmup": "always"}},
        ["training.total_steps = 20", "too short for a warm-up"],
    ),
    "horizon too short in epochs": (
        {"training": {"step_unit": "epoch"}, "space": {"warmup": "always"}},
        ["training.total_steps = 60", "too short for a warm-up"],
    ),
    "fewer steps than evaluations": (
        {"training": {"total_steps": 4}, "space": {"warmup": "none"}},
        ["training.total_steps = 4", "5 evaluations do not fit"],
    ),
    "horizon too short for a family": (
        {
            "training": {"total_steps": 3, "evals_per_run": 1},
            "families": ["OneCycleLR"],
            "space": {"warmup": "none"},
        },
        ["OneCycleLR needs at least 4 steps"],
    ),
    "no steps": ({"training": {"total_steps": 0}}, ["training.total_steps = 0"]),
    "no trials": ({"trials": 0}, ["trials = 0"]),
    "trials as text": ({"trials": "many"}, ["trials = 'many'"]),
    "unknown mode": ({"mode": "rnak"}, ["mode = 'rnak' is not allowed", "'search' or 'rank'"]),
    "fewer trials than families to rank": (
        {"mode": "rank", "trials": 2, "families": ["StepLR", "OneCycleLR", "Constant"]},
        ["trials = 2", "each of 3 families", "at least 3"],
    ),
    "too few seeds for the families to rank": (
        {"mode": "rank", "trials": 11, "confirmation": {"seeds": 4, "test": "paired"}},
        ["confirmation.seeds = 4", "needs at least"],
    ),
    "seed below zero": ({"seed": -1}, ["seed = -1"]),
    "batch below zero": ({"search": {"batch": -1}}, ["search.batch = -1"]),
    "batch larger than the data": ({"training": {"batch_size": 5000}}, ["5000", "1200"]),
    "objective": (
        {"search": {"objective": "loss"}},
        ["search.objective 'loss'", "did you mean 'val_loss'?"],
    ),
    "name with a slash": ({"name": "a/b"}, ["name = 'a/b'", "slash"]),
    "name of dots": ({"name": ".."}, ["name = '..'"]),
    "empty name": ({"name": ""}, ["name = ''"]),
    "name that is too long": ({"name": "x" * 101}, ["name = 'xxx"]),
}


@pytest.mark.parametrize(("changes", "texts"), STUDIES.values(), ids=STUDIES.keys())
@pytest.mark.parametrize("dry", [False, True], ids=["run", "dry-run"])
def test_a_study_that_cannot_be_run(
    refused: Callable[..., str],
    study_file: StudyFile,
    runs_dir: Path,
    changes: dict[str, Any],
    texts: list[str],
    dry: bool,
) -> None:
    line = refused("run", study_file(**changes), "--runs-dir", runs_dir, *["--dry-run"] * dry)
    for text in texts:
        assert text in line
    assert not runs_dir.exists(), "nothing is written"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("task = ", "is no TOML"),
        ("\x00", "is no TOML"),
        ("", "the key 'task' is missing"),
        ("training = 5\ntask = 'digits'", "training"),
    ],
)
def test_a_file_that_is_no_study(
    refused: Callable[..., str], tmp_path: Path, runs_dir: Path, text: str, expected: str
) -> None:
    path = tmp_path / "study.toml"
    path.write_text(text)
    line = refused("run", path, "--runs-dir", runs_dir)
    assert expected in line
    assert str(path) in line
    assert not runs_dir.exists()


def test_a_study_file_that_is_not_there(
    refused: Callable[..., str], tmp_path: Path, runs_dir: Path
) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        assert f"cannot read the study file {path}" in refused("run", path, "--runs-dir", runs_dir)
    assert not runs_dir.exists()


@pytest.mark.parametrize("device", ["cuda:99", "banana", "meta", "cpu:x", ""])
def test_a_device_that_is_not_there(
    refused: Callable[..., str], study_file: StudyFile, runs_dir: Path, device: str
) -> None:
    line = refused("run", study_file(), "--runs-dir", runs_dir, "--device", device)
    assert f"device {device!r}" in line
    assert "auto, cpu" in line
    assert not runs_dir.exists()
