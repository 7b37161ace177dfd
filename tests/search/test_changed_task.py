"""Going on with a run after its task has changed is refused with what differs, in words."""

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from torch import nn
from torch.nn.functional import cross_entropy

from schedsearch import confirm_run, open_run
from schedsearch.errors import RunError
from schedsearch.launch import Outcome
from schedsearch.tasks.registry import TASKS
from schedsearch.tasks.split import Split
from schedsearch.tasks.task import Data

Launch = Callable[..., Outcome]


def net(width: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))


def first_rows(folder: Path | None) -> Data:
    data = TASKS[0].load(folder)
    assert isinstance(data.train, Split)
    return replace(data, train=Split(*data.train.take(slice(0, 1100))))


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "model": (
        {"models": {"net": partial(net, 16)}},
        "task.model: Sequential -> Sequential with other content; "
        "task.parameters: 610 in 4 tensors -> 1,210 in 4 tensors",
    ),
    "data": ({"load": first_rows}, "task.train: 1,200 examples -> 1,100 examples"),
    "loss": (
        {"loss": partial(cross_entropy, label_smoothing=0.1)},
        "task.loss: cross_entropy -> cross_entropy with other content",
    ),
}


@pytest.fixture(scope="module")
def base() -> Any:
    return replace(TASKS[0], name="changing:TASK", models={"net": partial(net, 8)})


def test_a_changed_task_is_refused(
    launch: Launch, base: Any, runs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("changing")
    monkeypatch.setitem(sys.modules, "changing", module)
    module.TASK = base  # type: ignore[attr-defined]
    launch(trials=1, task="changing:TASK", model="net")
    for change, words in CHANGES.values():
        module.TASK = replace(base, **change)  # type: ignore[attr-defined]
        with pytest.raises(RunError) as caught:
            launch(trials=2, task="changing:TASK", model="net")
        assert f"was made with another study ({words})" in str(caught.value)
        with pytest.raises(RunError) as caught:
            confirm_run(open_run(runs_dir / "tiny"), seeds=8, device="cpu")
        assert f"was made with another task ({words})" in str(caught.value)
    module.TASK = replace(base, about="another sentence")  # type: ignore[attr-defined]
    assert len(launch(trials=2, task="changing:TASK", model="net").run.trials()) == 2
