"""The test split is read once, after the search, for the best schedule."""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from schedsearch.confirmation import measure
from schedsearch.confirmation.scores import score_of, scores_of
from schedsearch.errors import RunError
from schedsearch.finish import Winner
from schedsearch.launch import Outcome
from schedsearch.search.events import Event, Trained
from schedsearch.seeds import derive_seed
from schedsearch.tasks.registry import TASKS
from schedsearch.tasks.split import Split
from schedsearch.tasks.task import Data
from schedsearch.training import reference
from schedsearch.training.recipe import Job, Recipe

Launch = Callable[..., Outcome]


def winner_of(outcome: Outcome) -> Winner:
    assert outcome.winner is not None
    return outcome.winner


def on_test_split(outcome: Outcome) -> Mapping[str, float]:
    score = winner_of(outcome).score
    assert score is not None
    return score.test


class Guarded(Split):
    """A test split that tells whoever touches its tensors."""

    touched = 0

    def __getattribute__(self, name: str) -> Any:
        if name in ("inputs", "targets", "to"):
            Guarded.touched += 1
        return super().__getattribute__(name)


@pytest.fixture
def guarded_task(monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of the digits with a guarded test split."""
    digits = TASKS[0]

    def load(folder: Path | None) -> Data:
        data = digits.load(folder)
        assert isinstance(data.test, Split)
        return replace(data, test=Guarded(data.test.inputs, data.test.targets))

    module = ModuleType("guarded_task")
    name = "guarded_task:TASK"
    module.TASK = replace(digits, name=name, load=load)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "guarded_task", module)
    Guarded.touched = 0
    return name


def test_no_search_touches_the_test_split(launch: Launch, guarded_task: str) -> None:
    during: list[int] = []

    def see(event: Event) -> None:
        if isinstance(event, Trained):
            during.append(Guarded.touched)

    outcome = launch(trials=4, task=guarded_task, run_options={"on_event": see})
    shapes = during[0]  # of which a look at the shapes of its tensors, when the task is loaded
    assert during == [shapes] * 4
    assert Guarded.touched > shapes
    assert on_test_split(outcome)["accuracy"] > 0.1


def test_a_search_that_is_interrupted_never_loads_it(
    launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*args: object) -> Split:
        raise AssertionError("the test split was loaded")

    def stop(event: Event) -> None:
        if isinstance(event, Trained) and event.trial == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(measure, "load_test", forbidden)
    with pytest.raises(KeyboardInterrupt):
        launch(trials=4, run_options={"on_event": stop})
    with pytest.raises(RunError, match="was loaded"):
        launch(trials=4)


def test_a_second_launch_reads_the_score_and_trains_nothing(
    launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits: list[int] = []

    def counting(recipe: Recipe, job: Job, **options: Any) -> Any:
        fits.extend([job.seed] * job.keeps_model)
        return original(recipe, job, **options)

    original = reference.fit
    monkeypatch.setattr(reference, "fit", counting)
    first = launch(trials=3)
    assert fits == [derive_seed(0, "test")], "one training, on a seed that no trial had"
    assert score_of(first.run, winner_of(first).schedule) == winner_of(first).score
    assert [score.seed for score in scores_of(first.run)] == [derive_seed(0, "test")]
    second = launch(trials=3)
    assert len(fits) == 1
    assert winner_of(second) == winner_of(first)
    assert scores_of(first.run) == [winner_of(first).score]
    best = json.loads(second.best_path.read_text())
    assert best["result"]["test_accuracy"] == on_test_split(first)["accuracy"]
    assert best["result"]["test_loss"] == on_test_split(first)["loss"]


def test_the_score_is_that_of_the_best_schedule_on_the_test_split(launch: Launch) -> None:
    outcome = launch(trials=3)
    best = outcome.run.best
    assert winner_of(outcome).trial == best.trial
    assert winner_of(outcome).schedule == best.schedule
    right = on_test_split(outcome)["accuracy"] * 300  # the digits' test split
    assert right == pytest.approx(round(right), abs=1e-3)
    before = torch.random.get_rng_state()
    again = launch(trials=3, name="again")
    assert on_test_split(again) == on_test_split(outcome), "the same study, the same score"
    assert torch.equal(torch.random.get_rng_state(), before), "no global random state is used"


def test_a_better_schedule_found_later_is_measured(launch: Launch) -> None:
    """More trials may bring another best; the score in best.json is always that of its schedule."""
    measured = []
    for total in (1, 8):
        outcome = launch(trials=total, families=["Constant"])
        assert winner_of(outcome).schedule == outcome.run.best.schedule
        measured.append(outcome.run.best.trial)
    assert len(set(measured)) == 2, "choose another seed for this test"


def test_a_best_schedule_that_diverges_on_a_fresh_seed_has_no_score(
    launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverging(recipe: Recipe, job: Job, **options: Any) -> Any:
        model, curve = original(recipe, job, **options)
        return model, replace(curve, diverged=job.keeps_model)

    original = reference.fit
    monkeypatch.setattr(reference, "fit", diverging)
    notes: list[Event] = []
    outcome = launch(trials=2, run_options={"on_event": notes.append})
    assert on_test_split(outcome) == {}
    assert any("fresh seed" in getattr(note, "text", "") for note in notes)
    assert json.loads(outcome.best_path.read_text())["result"]["test_accuracy"] is None


@pytest.mark.parametrize("later", ["the data", "a label", "the model"])
def test_a_test_split_that_fails_costs_nothing_that_was_searched(
    launch: Launch, monkeypatch: pytest.MonkeyPatch, runs_dir: Path, later: str
) -> None:
    digits = TASKS[0].load(None).test
    assert isinstance(digits, Split)
    inputs, targets = digits.inputs, digits.targets
    told = {
        "the data": "task digits: the test split can't be read: OSError: disk on fire",
        "a label": "task digits: the test targets (0 to 11) don't fit outputs of shape [10, 10]: "
        "IndexError: Target 11 is out of bounds.",
        "the model": "task digits: the test split can't be measured: RuntimeError: mat1 and mat2 "
        "shapes cannot be multiplied (300x60 and 64x64)",
    }

    def load(*args: object) -> Split:
        if later == "the data":
            raise OSError("disk on fire")
        if later == "a label":
            return Split(inputs, targets + 2 * (targets == 9))
        return Split(inputs.flatten(1)[:, :60], targets)

    with monkeypatch.context() as patch:
        patch.setattr(measure, "load_test", load)
        with pytest.raises(RunError) as caught:
            launch(trials=2)
    assert str(caught.value).startswith(told[later])
    assert "the search is kept" in str(caught.value)
    best = json.loads((runs_dir / "tiny" / "best.json").read_text())
    assert best["result"]["val_loss"] > 0
    again = launch(trials=2)
    assert on_test_split(again)["accuracy"] > 0.1
    assert len(again.run.trials()) == 2
