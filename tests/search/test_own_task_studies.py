"""Studies of tasks that are not plain classifications of rows, from start to end."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from own_loaders import STREAMED
from own_sequences import TOKENS
from own_tasks import (
    DICE,
    IMBALANCED,
    LIKELIHOOD,
    NO_TEST,
    NORMED,
    PAIRS,
    REGRESSION,
)

from schedsearch import Metric, Note, TaskSource, run_study
from schedsearch.errors import ConfigError
from schedsearch.launch import Outcome
from schedsearch.search.events import Chosen

Study = Callable[..., Outcome]


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Return a runner of small studies of a task."""

    def run(source: TaskSource, model: str | None = None, **changes: Any) -> Outcome:
        tables: dict[str, Any] = {
            "name": "own",
            "model": model,
            "families": ["Constant", "CosineAnnealingLR", "ReduceLROnPlateau"],
            "trials": 6,
            "training": {"total_steps": 24, "evals_per_run": 4, "batch_size": 16},
            "space": {"peak_lr": [0.003, 0.1], "warmup": "none"},
            "fidelity": {"kind": "full"},
            "confirmation": {"seeds": 0},
        }
        told = changes.pop("on_event", None)
        for key, value in changes.items():
            tables[key] = {**tables.get(key, {}), **value} if isinstance(value, dict) else value
        return run_study(
            tables,
            task=source,
            runs_dir=tmp_path / "runs",
            device="cpu",
            report=False,
            on_event=told or (lambda event: None),
        )

    return run


def best_of(outcome: Outcome) -> dict[str, Any]:
    best: dict[str, Any] = json.loads(outcome.best_path.read_text())
    return best


@pytest.mark.parametrize(
    ("source", "model", "rates"),
    [
        (DICE, "mlp", [0.003, 0.1]),
        (LIKELIHOOD, "mlp", [1e-5, 1e-3]),
        (NORMED, "batch", [0.01, 0.3]),
        (PAIRS, "two", [0.003, 0.1]),
        (STREAMED, "linear", [0.003, 0.1]),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_no_trial_of_a_sound_task_diverges(
    study: Study, source: TaskSource, model: str, rates: list[float]
) -> None:
    outcome = study(source, model, space={"peak_lr": rates})
    trials = outcome.run.trials()
    assert (trials["state"] == "finished").all()
    assert all(map(math.isfinite, trials["val_loss"]))
    assert trials["val_loss"].nunique() == len(trials)


def test_without_test_examples_the_winner_is_confirmed_and_nothing_is_said_of_a_test(
    study: Study,
) -> None:
    outcome = study(NO_TEST, confirmation={"seeds": 4, "finalists": 2})
    assert outcome.winner is not None
    assert outcome.winner.score is None
    best = best_of(outcome)
    assert best["confirmed"]
    assert "test_" not in json.dumps(best["result"])
    assert not [study for study in outcome.run.ended_trials("own/test")]


def test_a_regression_has_no_accuracy_and_a_plateau_watches_its_loss(study: Study) -> None:
    outcome = study(
        REGRESSION, families=["ReduceLROnPlateau"], search={"sampler": "random"}, trials=5
    )
    assert "accuracy" not in json.dumps(best_of(outcome))
    assert "accuracy" not in " ".join(outcome.run.trials().columns)
    modes = {json.loads(params)["mode"] for params in outcome.run.trials()["params"]}
    assert modes == {"min"}


def test_the_objective_is_a_metric_and_a_plateau_watches_it(study: Study) -> None:
    outcome = study(
        IMBALANCED,
        families=["ReduceLROnPlateau"],
        ranges={"ReduceLROnPlateau": {"mode": "max", "patience_frac": 0.01}},
        search={"objective": "val_macro_f1"},
    )
    trials = outcome.run.trials()
    assert best_of(outcome)["result"]["val_macro_f1"] == trials["val_macro_f1"].max()
    assert {json.loads(text)["metric"] for text in trials["schedule"]} == {"val_macro_f1"}
    assert best_of(outcome)["schedule"]["metric"] == "val_macro_f1"


def test_an_objective_that_the_task_does_not_have(study: Study) -> None:
    with pytest.raises(ConfigError, match=r"'val_f1'.* did you mean 'val_macro_f1'"):
        study(IMBALANCED, search={"objective": "val_f1"})
    with pytest.raises(ConfigError, match=r"'val_accuracy'.*allowed: val_loss\)"):
        study(REGRESSION, search={"objective": "val_accuracy"})


def test_what_a_plateau_is_to_watch(study: Study) -> None:
    outcome = study(
        TOKENS,
        "bigram",
        families=["ReduceLROnPlateau"],
        space={"watch": ["val_perplexity"]},
        trials=3,
    )
    schedules = [json.loads(text) for text in outcome.run.trials()["schedule"]]
    assert {each["metric"] for each in schedules} == {"val_perplexity"}
    with pytest.raises(ConfigError, match="at most one value that is to fall"):
        study(TOKENS, "bigram", space={"watch": ["val_loss", "val_perplexity"]})


def test_a_recurrent_model_is_trained_by_the_fused_engine(study: Study) -> None:
    """Vmap trains a GRU and cannot evaluate one: the jobs are evaluated one by one."""
    told: list[str] = []

    def on_event(event: object) -> None:
        told.extend([event.text] if isinstance(event, Chosen | Note) else [])

    outcome = study(
        TOKENS,
        "gru",
        trials=3,
        training={"engine": "fused"},
        on_event=on_event,
    )
    assert (outcome.run.trials()["state"] == "finished").all()
    assert [text for text in told if text.startswith("engine: fused")], told


def test_averaged_weights_are_compared_too(study: Study) -> None:
    outcome = study(
        NO_TEST, training={"ema": 0.9}, search={"objective": "ema_val_accuracy"}, trials=4
    )
    trials = outcome.run.trials()
    assert best_of(outcome)["result"]["ema_val_accuracy"] == trials["ema_val_accuracy"].max()
    assert (trials["ema_val_loss"] != trials["val_loss"]).all()


def test_a_training_whose_objective_is_no_number_is_not_compared(study: Study) -> None:
    """A metric that has no value at the end of some trainings: those count as diverged."""

    def odd(outputs: torch.Tensor, targets: torch.Tensor) -> float:
        share = (outputs.argmax(1) == targets).float().mean().item()
        return math.nan if share > 0.93 else share

    source = replace(NO_TEST, metrics=[Metric("odd", "maximize", odd)])
    outcome = study(
        source, search={"objective": "val_odd"}, trials=8, space={"peak_lr": [1e-4, 0.3]}
    )
    trials = outcome.run.trials()
    assert set(trials["state"]) == {"finished", "diverged"}
    assert trials.loc[trials["state"] == "finished", "val_odd"].max() <= 0.93
    assert best_of(outcome)["result"]["val_odd"] <= 0.93
