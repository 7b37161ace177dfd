"""A run's folder can be renamed and copied: it is still the same run."""

import shutil
from pathlib import Path

from schedsearch.config import parse_config
from schedsearch.launch import run_study
from schedsearch.store.run import open_run


def test_a_renamed_or_copied_folder_is_still_the_run(tmp_path: Path) -> None:
    training = {"total_steps": 50, "evals_per_run": 2}
    config = parse_config(
        {
            "name": "first",
            "task": "digits",
            "trials": 2,
            "families": ["StepLR"],
            "training": training,
        }
    )
    best = run_study(config, runs_dir=tmp_path).run.best
    shutil.copytree(tmp_path / "first", tmp_path / "copy")
    (tmp_path / "first").rename(tmp_path / "renamed")
    for folder in ("copy", "renamed"):
        run = open_run(tmp_path / folder)
        assert run.name == "first"
        assert run.best == best
        assert len(run.trials()) == 2
