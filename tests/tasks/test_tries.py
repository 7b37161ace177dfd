"""What is wrong with a task is one line that names it, before anything is trained or written."""

import random
import re
from collections.abc import Callable
from pathlib import Path

import bad_parts
import bad_tasks
import numpy as np
import odd_tasks
import pytest
import torch

from schedsearch.tasks.evaluate import evaluate
from schedsearch.tasks.registry import load_task
from schedsearch.tasks.tries import try_task

BAD = {**bad_tasks.BAD}
assert any(name.startswith(bad_parts.__name__) for name in BAD)


@pytest.mark.parametrize("name", BAD)
def test_a_mistake_is_one_line(
    refused: Callable[..., str], study_file: Callable[..., Path], runs_dir: Path, name: str
) -> None:
    study = study_file(task=name, model="linear", training={"batch_size": 64})
    line = refused("run", study, "--runs-dir", runs_dir, "--device", "cpu")
    line = re.sub(r"line \d+\)", "line N)", line)
    assert line == f"schedsearch: {BAD[name]}\n"
    assert not runs_dir.exists(), "nothing is written"


@pytest.mark.parametrize("name", odd_tasks.PLAIN)
def test_a_task_without_a_mistake_passes(name: str) -> None:
    task = load_task(f"odd_tasks:{name}", batch_size=16)
    notes = []
    if name == "IN_ORDER":
        text = "the training data: two seeds give the same batches in the same order: no shuffling"
        notes.append(f"task odd_tasks:IN_ORDER: {text}")
    assert try_task(task) == notes


def test_tries_leave_all_random_numbers_as_they_are() -> None:
    task = load_task("odd_tasks:AUGMENTED")

    def states() -> list[object]:
        return [torch.get_rng_state().tolist(), repr(np.random.get_state()), random.getstate()]

    before = states()
    try_task(task)
    assert states() == before


def test_a_metric_that_refuses_what_is_not_finite_gives_nan_for_it() -> None:
    """Otherwise one diverged training would end the study."""
    task = load_task("odd_tasks:STRICT_METRIC")
    model = task.model(0)
    with torch.no_grad():
        model.weight.fill_(float("nan"))  # type: ignore[operator]
    assert evaluate(model, task)["strict"].isnan()
