"""Epochs instead of steps: the same study, in the words of who wrote it."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from schedsearch import AtRung, ConfigError, Event, Schedule, ScheduleError, run_study
from schedsearch.config import parse_config
from schedsearch.horizon import Unit
from schedsearch.report.figures.rates import FIGURE as RATES
from schedsearch.report.plot import chart_of
from schedsearch.search.draft import draft_of

STUDY: dict[str, Any] = {"name": "a", "task": "digits"}
PER_EPOCH = 1200 // 64  # 18
TEN: dict[str, Any] = {  # epochs
    "training": {"epochs": 10, "evals_per_run": 5, "engine": "reference"},
    "space": {"warmup_frac": [0.05, 0.1]},
    "fidelity": {"kind": "squeeze", "rungs": [2.5], "eta": 3, "min_steps": 5, "checks": 4},
    "families": ["Constant", "StepLR"],
}


def in_steps(table: dict[str, Any]) -> dict[str, Any]:
    training = {k: v for k, v in table["training"].items() if k != "epochs"}
    fidelity = table["fidelity"] | {"rungs": [45]}
    return table | {"training": training | {"total_steps": 180}, "fidelity": fidelity}


def test_steps_follow_from_epochs_and_the_task() -> None:
    for epochs, steps in ((30, 540), (2.5, 45), (0.01, 1)):
        config = parse_config(STUDY | {"training": {"epochs": epochs, "evals_per_run": 1}})
        assert config.counted(PER_EPOCH).training.total_steps == steps
    draft = draft_of(parse_config(STUDY | TEN), "cpu")
    assert draft.rungs.horizons == (45, 180)
    assert (
        draft.config.identity() == draft_of(parse_config(STUDY | in_steps(TEN))).config.identity()
    )


def test_a_study_in_epochs_is_written_and_read_back() -> None:
    """What the command passes on has no steps yet; what is stored has both."""
    config = parse_config(STUDY | TEN)
    assert "total_steps" not in config.model_dump()["training"]
    assert parse_config(config.model_dump()) == config
    stored = json.loads(json.dumps(config.counted(18).model_dump(mode="json")))
    assert (stored["training"]["epochs"], stored["training"]["total_steps"]) == (10, 180)
    again = parse_config(stored, stored=True)
    assert again.training.unit == Unit(18.0)
    assert again.counted(18) == again
    assert "epochs" not in parse_config(STUDY).model_dump(exclude_unset=True).get("training", {})


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"epochs": 3, "total_steps": 60}, "[training] total_steps = 60 and epochs = 3: say one"),
        ({"epochs": 0}, "training.epochs = 0"),
        ({"epochs": True}, "training.epochs = True"),
        ({"epochs": float("nan")}, "training.epochs = nan"),
        ({"epochs": 1e300}, "training.epochs = 1e+300"),
        ({"epochs": "ten"}, "training.epochs = 'ten'"),
        ({"epoch": 3}, "unknown key 'training.epoch': did you mean 'training.epochs'"),
    ],
)
def test_mistakes_in_epochs(table: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(STUDY | {"training": table})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("training", "fidelity", "words"),
    [
        ({"epochs": 0.5}, {}, "training.epochs = 0.5: 20 evaluations do not fit into 9 steps"),
        ({"epochs": 10}, {"rungs": [11.5]}, "[11.5]: 11.5 is beyond training.epochs = 10"),
        ({"epochs": 10}, {"rungs": [1.5]}, "1.5 epochs (27 steps) are too few for a rung: fewer"),
        ({"total_steps": 600}, {"rungs": [1.5]}, "rungs = [1.5]: steps are whole numbers"),
    ],
)
def test_what_does_not_fit_is_said_in_the_users_unit(
    training: dict[str, Any], fidelity: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        draft_of(parse_config(STUDY | {"training": training, "fidelity": fidelity}), "cpu")
    assert words in str(caught.value)


def test_a_study_in_epochs_speaks_of_epochs(
    cli: Callable[..., tuple[int, str, str]], runs_dir: Path
) -> None:
    told: list[Event] = []
    study = STUDY | TEN | {"trials": 4, "confirmation": {"seeds": 0}}
    options: dict[str, Any] = {"runs_dir": runs_dir, "device": "cpu"}
    outcome = run_study(study, on_event=told.append, **options)
    rungs = [event for event in told if isinstance(event, AtRung)]
    assert {(rung.horizon, rung.words) for rung in rungs} == {
        (45, "2.5 epochs"),
        (180, "10 epochs"),
    }
    assert outcome.report_path is not None
    page = re.sub(r"<script.*?</script>", "", outcome.report_path.read_text(), flags=re.DOTALL)
    assert "SGD, 10 epochs, batches of 64" in page
    assert '<th scope="col">epochs to target</th>' in page
    (panel,) = chart_of(outcome.run, RATES.name).panels
    assert panel.x.label == "epoch"
    assert max(max(line.x) for line in panel.series) == 10.0
    assert "SGD, 10 epochs" in cli("status", runs_dir / "a")[1]
    assert "\nEpochs to " in cli("convergence", runs_dir / "a")[1]
    again = run_study(in_steps(study), progress=False, report=False, **options)
    assert again.clock.trials == 0, "the same run, said in steps"


def test_a_plan_speaks_of_epochs(
    cli: Callable[..., tuple[int, str, str]], study_file: Callable[..., Path], tmp_path: Path
) -> None:
    file = tmp_path / "a.toml"
    file.write_text(
        """task = "digits"
        trials = 4
        families = ["Constant"]
        training = { epochs = 10, evals_per_run = 5, engine = "reference" }
        fidelity = { rungs = [2.5], min_steps = 5, checks = 0 }
        """
    )
    code, out, _ = cli("run", file, "--dry-run")
    assert code == 0
    assert "4 of 10 epochs (180 steps), each 5 evaluations" in out
    assert "rungs at 2.5, 10 epochs" in out


EPOCHS: dict[str, Any] = {"epochs": 2.5, "steps_per_epoch": 18}


def test_a_schedule_is_built_for_epochs() -> None:
    schedule = Schedule("CosineAnnealingLR", 0.1)
    assert schedule.trace(**EPOCHS) == schedule.trace(45)
    optimizer, other = (torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))]) for _ in range(2))
    built, same = schedule.build(optimizer, **EPOCHS), schedule.build(other, 45)
    assert built.state_dict() == same.state_dict()
    by_epoch = Schedule("CosineAnnealingLR", 0.1, step_unit="epoch")
    assert by_epoch.trace(epochs=30) == by_epoch.trace(30), "its steps are epochs"
    assert by_epoch.trace(**EPOCHS) == by_epoch.trace(3)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "say total_steps=, or epochs= and steps_per_epoch="),
        ({"epochs": 3}, "needs steps_per_epoch="),
        ({"epochs": 3, "total_steps": 5}, "say one of them"),
        ({"epochs": -1, "steps_per_epoch": 9}, "epochs = -1: a number above 0"),
        ({"epochs": 1, "steps_per_epoch": float("inf")}, "steps_per_epoch = inf"),
        ({"epochs": "3", "steps_per_epoch": 9}, "epochs = '3'"),
    ],
)
def test_a_schedule_without_a_length_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        Schedule("StepLR", 0.1).trace(**given)
    assert words in str(caught.value)


def test_a_schedule_is_drawn_over_epochs(
    cli: Callable[..., tuple[int, str, str]], refused: Callable[..., str], tmp_path: Path
) -> None:
    schedule = Schedule("StepLR", 0.1)
    axes = schedule.plot(**EPOCHS)
    assert axes.get_xlabel() == "epoch (of 2.5)"
    assert axes.lines[0].get_xdata()[-1] == 2.5  # type: ignore[index]
    (tmp_path / "best.json").write_text(schedule.to_json())
    picture = tmp_path / "lr.svg"
    given = ("preview", tmp_path / "best.json", "-o", picture, "--epochs", 2.5)
    assert "needs steps_per_epoch=" in refused(*given)
    assert cli(*given, "--steps-per-epoch", 18)[0] == 0
    assert picture.exists()
