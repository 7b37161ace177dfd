"""`schedsearch check`: what is seen of a task before anything long starts."""

import math
from collections.abc import Callable
from pathlib import Path

import bad_tasks
import odd_tasks
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from schedsearch.preflight.data import see_duplicates, see_labels, see_numbers, see_shapes
from schedsearch.preflight.evaluation import see_metrics, see_pieces
from schedsearch.preflight.finding import Finding
from schedsearch.preflight.start import chance_of, see_fit, see_gradients, see_start
from schedsearch.tasks.registry import load_task
from schedsearch.tasks.split import Split
from schedsearch.tasks.task import Task, TaskSource
from schedsearch.training.optimizers import OptimizerSpec
from schedsearch.training.recipe import Recipe

RATES = (0.01, 0.1)


def findings(source: TaskSource) -> dict[str, Finding]:
    """Return all that is seen of a task, but for time and memory, by name."""
    task = load_task(source, batch_size=16)
    recipe = Recipe(task, OptimizerSpec(), evals=1)
    splits = {"training": task.train, "validation": task.validation}
    found = [
        see_shapes(task, splits),
        *see_labels(splits),
        see_numbers(splits),
        see_duplicates(splits),
        see_start(recipe, 0),
        see_gradients(task),
        see_fit(recipe, RATES),
        see_pieces(task),
        see_metrics(task),
    ]
    return {finding.name: finding for finding in found}


def test_a_task_without_a_mistake() -> None:
    found = findings(bad_tasks.GOOD)
    assert {finding.state for finding in found.values()} == {"ok"}
    assert found["shapes"].text == (
        "inputs [N, 4] float32, targets [N] int64, outputs [N, 3] float32; 64 training rows, "
        "32 validation rows"
    )
    assert found["labels"].text == "0 to 2, 3 of them, in range"
    assert found["numbers"].text == "all finite"
    assert found["duplicates"].text == "no row lies in two splits"
    assert "where chance gives 1.099 (log of 3 classes)" in found["start"].text
    assert found["gradients"].text == "finite, in all 2 tensors"
    assert found["one batch"].text.startswith("its loss falls from ")
    assert found["evaluation"].text == "the same in one piece and in 7"


ODD: dict[str, tuple[TaskSource, str, str, str]] = {
    "large outputs": (
        odd_tasks.SCALED,
        "start",
        "warning",
        "(log of 3 classes): the outputs are large before any training (initial weights? unscaled "
        "inputs?)",
    ),
    "trained weights": (
        odd_tasks.GIVEN,
        "start",
        "warning",
        "better than chance before any training (trained weights? labels in the inputs?)",
    ),
    "trained weights fit": (
        odd_tasks.GIVEN,
        "one batch",
        "ok",
        "its loss falls from ",
    ),
    "unused parameters": (
        odd_tasks.UNUSED,
        "gradients",
        "warning",
        "no gradient for old_head.weight, old_head.bias, older.weight and 1 more: the loss does "
        "not depend on them",
    ),
    "a model that does not learn": (
        odd_tasks.DEAF,
        "one batch",
        "would fail",
        "its loss falls at none of the rates 0.01, 0.1: at best from 1.099 to 1.099 in 100 steps",
    ),
    "statistics of the batch": (
        odd_tasks.BATCH_NORM,
        "evaluation",
        "warning",
        "the outputs for an example depend on what else is in its piece (BatchNorm with the "
        "statistics of the batch?): the split is evaluated at once",
    ),
    "pieces that differ": (
        odd_tasks.OF_MANY_ROWS,
        "evaluation",
        "warning",
        " in one piece and ",
    ),
    "numbers that are none": (
        odd_tasks.NAN_LATER,
        "numbers",
        "warning",
        "nan or infinity in 2 rows of the validation inputs",
    ),
    "rows in two splits": (
        odd_tasks.ROWS_TWICE,
        "duplicates",
        "warning",
        "5 of 37 validation rows are training rows too",
    ),
    "a class that is not trained": (
        odd_tasks.CLASS_MISSING,
        "labels",
        "warning",
        "validation labels that the training data lack: 2",
    ),
    "one class": (odd_tasks.ONE_CLASS, "labels", "warning", "all training targets are [0]"),
    "a metric that draws": (
        odd_tasks.NOISY,
        "metrics",
        "warning",
        "in two evaluations of one model: something draws random numbers there",
    ),
    "a share above one": (
        odd_tasks.TOO_LARGE,
        "metrics",
        "warning",
        ", and the metric says that it lies between 0 and 1",
    ),
}


@pytest.mark.parametrize(("source", "name", "state", "text"), ODD.values(), ids=ODD)
def test_what_is_odd_is_seen(source: TaskSource, name: str, state: str, text: str) -> None:
    found = findings(source)[name]
    assert found.state == state
    assert text in found.text


def test_rows_beyond_the_limit_are_not_compared_and_that_is_said() -> None:
    many = Split(torch.arange(100_003).unsqueeze(1))
    few = Split(torch.tensor([[5], [100_001], [7], [200_000]]))
    found = see_duplicates({"training": many, "validation": few})
    assert found.state == "warning"
    assert found.text == (
        "2 of 4 validation rows are training rows too; only the first 100,000 training rows were "
        "compared"
    )


def _chance(task: Task, loss: object, classes: int, targets: torch.Tensor) -> float | None:
    from dataclasses import replace

    train = Split(torch.randn(len(targets), 4), targets)
    chance = chance_of(
        replace(
            task,
            train=train,
            loss=loss,  # type: ignore[arg-type]
            make_model=lambda: torch.nn.Linear(4, classes),
        )
    )
    return None if chance is None else chance.loss


def test_a_cross_entropy_is_known_by_its_value() -> None:
    task, labels = load_task(bad_tasks.GOOD, batch_size=16), torch.arange(64) % 5
    weighted = lambda o, y: cross_entropy(o, y, weight=torch.arange(1.0, 6.0))  # noqa: E731
    assert _chance(task, weighted, 5, labels) == pytest.approx(math.log(5), rel=1e-4)
    binary = binary_cross_entropy_with_logits
    rows = torch.rand(64, 5).round()
    assert _chance(task, binary, 5, rows) == pytest.approx(math.log(2), rel=1e-4)
    assert _chance(task, lambda o, y: cross_entropy(o, y) + 0.1, 5, labels) is None


Cli = Callable[..., tuple[int, str, str]]


def test_the_command_looks_at_a_task(cli: Cli, runs_dir: Path) -> None:
    code, out, err = cli("check", "bad_tasks:GOOD", "--device", "cpu")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [line[11:23].strip() for line in lines] == [
        *("shapes", "labels", "numbers", "duplicates", "start", "gradients", "one batch"),
        *("evaluation", "metrics", "engine", "step", "memory", "study"),
    ]
    assert {line[:11] for line in lines} == {"ok         "}
    assert "minutes for 60 trials" in lines[-1]
    assert not runs_dir.exists()


def test_the_command_looks_at_a_study(
    cli: Cli, study_file: Callable[..., Path], runs_dir: Path
) -> None:
    study = study_file(task="bad_tasks:LABELS_FROM_ONE", model="linear")
    code, out, err = cli("check", study, "--device", "cpu")
    assert (code, err) == (2, "")
    assert out == f"would fail study        {bad_tasks.BAD['bad_tasks:LABELS_FROM_ONE']}\n"
    code, out, _ = cli("check", study_file(task="odd_tasks:IN_ORDER", model="linear"))
    assert code == 0
    assert "warning    note         task odd_tasks:IN_ORDER: the training data: two seeds" in out
    assert "the training data are a stream, and were not compared" in out
    assert not runs_dir.exists()


@pytest.mark.parametrize(
    ("what", "text"), [("digit", "did you mean 'digits'?"), ("no.toml", "cannot read")]
)
def test_the_command_says_what_is_not_there(cli: Cli, what: str, text: str) -> None:
    code, out, err = cli("check", what)
    assert code == 2
    assert text in out + err
    assert "Traceback" not in out + err
