"""A run goes on only with the study that it was made with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schedsearch import open_run
from schedsearch.config import StudyConfig
from schedsearch.errors import RunError
from schedsearch.launch import Outcome
from schedsearch.schedules.families import DEFAULT_FAMILIES
from schedsearch.search.create import open_study
from schedsearch.search.draft import draft_of
from schedsearch.store.connect import open_storage
from schedsearch.store.place import place_run

Launch = Callable[..., Outcome]


@pytest.fixture(scope="module")
def made(
    make_config: Callable[..., StudyConfig], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., None]:
    """Return an opener of one study that was made before, with what is to differ."""
    runs_dir = tmp_path_factory.mktemp("made")

    def reopen(**changes: Any) -> None:
        draft = draft_of(make_config(**changes), "cpu")
        place = place_run("tiny", runs_dir, None)
        open_study(open_storage(place.url), place, draft, draft.given_peak_lr)

    reopen()
    return reopen


DIFFERENT: list[tuple[dict[str, Any], str]] = [
    ({"model": "cnn"}, r"model: 'mlp' -> 'cnn'"),
    ({"seed": 1}, r"seed: 0 -> 1"),
    ({"families": ["StepLR"]}, r"families: \[.*\] -> \['StepLR'\]"),
    ({"ranges": {"StepLR": {"gamma": 0.5}}}, r"ranges\.StepLR: .*gamma.*'0\.5'"),
    ({"space": {"peak_lr": [0.01, 0.5]}}, r"space\.peak_lr: \[0\.01, 1\.0\] -> \[0\.01, 0\.5\]"),
    ({"space": {"warmup": "none"}}, r"space\.warmup: 'optional' -> 'none'"),
    ({"space": {"warmup_frac": [0.02, 0.2]}}, r"space\.warmup_frac: .*0\.1\] -> .*0\.2\]"),
    ({"space": {"warmup_start_factor": 0.1}}, r"space\.warmup_start_factor: 0\.01 -> 0\.1"),
    ({"search": {"objective": "val_accuracy"}}, r"search\.objective: 'val_loss' -> 'val_acc"),
    ({"training": {"total_steps": 80}}, r"training\.total_steps: 60 -> 80"),
    ({"training": {"batch_size": 32}}, r"training\.batch_size: 64 -> 32"),
    ({"training": {"optimizer": "AdamW"}}, r"training\.optimizer: 'SGD' -> 'AdamW'"),
    ({"training": {"optimizer_args": {"momentum": 0.5}}}, r"optimizer_args: .*0\.9.* -> .*0\.5"),
    ({"training": {"evals_per_run": 10}}, r"training\.evals_per_run: 5 -> 10"),
    ({"training": {"step_unit": "epoch"}, "space": {"warmup": "none"}}, r"step_unit: 'step' -> 'e"),
    ({"training": {"diverge_factor": 5.0}}, r"training\.diverge_factor: 3\.0 -> 5\.0"),
]


@pytest.mark.parametrize(("changes", "shown"), DIFFERENT, ids=[shown for _, shown in DIFFERENT])
def test_another_study_is_refused_with_what_differs(
    made: Callable[..., None], changes: dict[str, Any], shown: str
) -> None:
    with pytest.raises(RunError, match=shown) as caught:
        made(**changes)
    text = str(caught.value)
    assert "\n" not in text
    assert "--name" in text, "it shows one way out"
    assert "--trials is always allowed" in text, "and says what is no reason"


@pytest.mark.parametrize(
    "changes",
    [
        {"trials": 500},
        {"search": {"sampler": "TPE", "batch": 16, "pruner": "MedianPruner"}},
        {"training": {"threads": 0}},
        {"training": {"optimizer_args": {"momentum": 0.9}}},  # what SGD has without it
        {"model": None},  # the task's first is the one that TINY names
    ],
    ids=str,
)
def test_what_changes_no_question_is_allowed(
    made: Callable[..., None], changes: dict[str, Any]
) -> None:
    made(**changes)


def test_families_by_a_word_are_those_that_it_stands_for(launch: Launch) -> None:
    launch(trials=1, families="default")
    assert len(launch(trials=2, families=list(DEFAULT_FAMILIES)).run.trials()) == 2


def test_optimizer_arguments_that_json_writes_otherwise_are_still_the_same(
    launch: Launch,
) -> None:
    """A tuple from Python comes back from the storage as a list."""
    training = {"optimizer": "AdamW", "optimizer_args": {"betas": (0.9, 0.99)}}
    study = {"training": training, "space": {"peak_lr": [1e-4, 1e-3]}}
    launch(trials=1, **study)
    assert len(launch(trials=2, **study).run.trials()) == 2


def test_a_refusal_leaves_the_run_as_it_was(launch: Launch, runs_dir: Path) -> None:
    launch(trials=2)
    before = open_run(runs_dir / "tiny")
    config, trials = before.config, before.trials()
    best = (runs_dir / "tiny" / "best.json").read_bytes()
    with pytest.raises(RunError, match="total_steps: 60 -> 90"):
        launch(trials=9, training={"total_steps": 90})
    after = open_run(runs_dir / "tiny")
    assert after.config == config
    assert after.trials().equals(trials)
    assert (runs_dir / "tiny" / "best.json").read_bytes() == best
    assert len(launch(trials=3, name="other", training={"total_steps": 90}).run.trials()) == 3


def test_a_study_of_somebody_else_is_refused(
    make_config: Callable[..., StudyConfig], runs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = place_run("tiny", runs_dir, None)
    storage = open_storage(place.url)
    import optuna

    study = optuna.create_study(study_name="tiny", storage=storage)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    monkeypatch.setattr("schedsearch.search.create.time.sleep", lambda seconds: None)
    draft = draft_of(make_config(), "cpu")
    with pytest.raises(RunError, match=r"none of schedsearch's.*--name"):
        open_study(storage, place, draft, draft.given_peak_lr)
    assert len(study.get_trials()) == 1


def test_a_run_whose_creation_was_interrupted_goes_on(
    launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the study was created and before it was described: no trial is lost yet."""

    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("schedsearch.search.create.provenance", interrupt)
        with pytest.raises(KeyboardInterrupt):
            launch(trials=2)
    monkeypatch.setattr("schedsearch.search.create.time.sleep", lambda seconds: None)
    assert len(launch(trials=2).run.trials()) == 2
