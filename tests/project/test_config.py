"""Study files: what they mean when little is said, and one line for each mistake in them."""

from pathlib import Path
from typing import Any

import pytest

from schedsearch.config import StudyConfig, load_config, parse_config
from schedsearch.errors import ConfigError

STUDY: dict[str, Any] = {"name": "a", "task": "digits"}


def parsed(study: dict[str, Any]) -> StudyConfig:
    return parse_config(STUDY | study, "a.toml")


def one_line(error: BaseException) -> str:
    message = str(error)
    assert message
    assert "\n" not in message
    assert "Error" not in message
    return message


DEFAULTS: dict[str, Any] = {
    "model": None,
    "data": None,
    "families": "default",
    "mode": "search",
    "trials": 60,
    "seed": 0,
    "ranges": {},
    "training.total_steps": 600,
    "training.batch_size": 64,
    "training.optimizer": "SGD",
    "training.optimizer_args": None,
    "training.evals_per_run": 20,
    "training.step_unit": "step",
    "training.diverge_factor": 3.0,
    "training.precision": "full",
    "training.engine": "auto",
    "training.stack": 0,
    "training.threads": 0,
    "space.peak_lr": None,
    "space.widen": None,
    "space.warmup": "optional",
    "space.warmup_frac": (0.02, 0.1),
    "space.warmup_start_factor": 0.01,
    "search.objective": "val_loss",
    "search.sampler": "TPE",
    "search.sampler_args": {},
    "search.pruner": "none",
    "search.pruner_args": {},
    "search.batch": 0,
    "search.history": 250,
    "fidelity.kind": "squeeze",
    "fidelity.rungs": 3,
    "fidelity.eta": 4,
    "fidelity.min_steps": 100,
    "fidelity.checks": None,
    "confirmation.finalists": 4,
    "confirmation.seeds": 8,
    "confirmation.test": "welch",
}


def test_what_may_not_change_while_a_run_goes_on() -> None:
    """How it is trained may change: engine, stack and threads are no part of it."""
    study = {"training": {"engine": "fused", "stack": 3, "threads": 1, "precision": "bf16"}}
    assert parsed(study).identity() == {
        "task": "digits",
        "model": None,
        "seed": 0,
        "search.objective": "val_loss",
        "training.total_steps": 600,
        "training.batch_size": 64,
        "training.optimizer": "SGD",
        "training.optimizer_args": {"momentum": 0.9},
        "training.evals_per_run": 20,
        "training.step_unit": "step",
        "training.diverge_factor": 3.0,
        "training.precision": "bf16",
        "training.accumulate": 1,
        "training.clip_norm": 0.0,
        "training.ema": 0.0,
        "training.label_smoothing": 0.0,
        "training.rest_optimizer": None,
        "training.rest_optimizer_args": {},
        "training.rest_lr_factor": 1.0,
    }
    assert parsed({"mode": "rank"}).identity()["mode"] == "rank"


@pytest.mark.parametrize(
    ("trials", "given", "batch"),
    [(1, 0, 8), (60, 0, 8), (71, 0, 8), (72, 0, 9), (511, 0, 63), (5000, 0, 64), (60, 3, 3)],
)
def test_the_batch_follows_from_the_total_unless_it_is_given(
    trials: int, given: int, batch: int
) -> None:
    assert parsed({"trials": trials, "search": {"batch": given}}).batch == batch


@pytest.mark.parametrize(("key", "value"), DEFAULTS.items())
def test_defaults(key: str, value: object) -> None:
    found: Any = parsed({}).model_dump()
    for name in key.split("."):
        found = found[name]
    assert found == value


@pytest.mark.parametrize(
    ("training", "arguments"),
    [
        ({}, {"momentum": 0.9}),
        ({"optimizer": "AdamW"}, {}),
        ({"optimizer_args": {}}, {}),
        ({"optimizer_args": {"nesterov": True}}, {"nesterov": True}),
    ],
)
def test_optimizer_arguments(training: dict[str, Any], arguments: dict[str, Any]) -> None:
    assert parsed({"training": training}).training.optimizer_arguments == arguments


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        ({"peak_lr": 0.1}, (0.1, 0.1)),
        ({"peak_lr": 1}, (1.0, 1.0)),
        ({"peak_lr": [1, 2]}, (1.0, 2.0)),
        ({"peak_lr": [1e-3, 0.5]}, (1e-3, 0.5)),
        ({"warmup_frac": 0.05}, (0.05, 0.05)),
    ],
)
def test_ranges_of_numbers(space: dict[str, Any], expected: tuple[float, float]) -> None:
    (key,) = space
    value = getattr(parsed({"space": space}).space, key)
    assert value == expected
    assert {type(number) for number in value} == {float}


def test_a_config_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        setattr(parse_config(STUDY), "trials", 3)  # noqa: B010  # mypy knows that it is frozen


# fmt: off
MISTAKES: tuple[tuple[dict[str, Any], list[str]], ...] = (
    # misspelt keys
    ({"trails": 5}, ["unknown key 'trails'", "did you mean 'trials'"]),
    ({"Task": "digits"}, ["unknown key 'Task'", "did you mean 'task'"]),
    ({"training": {"total_step": 5}}, ["'training.total_step'", "mean 'training.total_steps'"]),
    ({"training": {"evals": 5}}, ["'training.evals'", "mean 'training.evals_per_run'"]),
    ({"space": {"lr": 0.1}}, ["'space.lr'", "did you mean 'space.peak_lr'"]),
    ({"space": {"base_lr": 0.1}}, ["'space.base_lr'", "did you mean 'space.peak_lr'"]),
    ({"search": {"Sampler": "TPE"}}, ["'search.Sampler'", "did you mean 'search.sampler'"]),
    ({"search": {"zzzzzzz": 1}}, ["unknown key 'search.zzzzzzz'", "search.objective"]),
    # wrong types
    ({"name": 3}, ["name = 3"]),
    ({"task": ["digits"]}, ["task = ['digits']"]),
    ({"trials": "60"}, ["trials = '60'", "integer"]),
    ({"trials": 6.0}, ["trials = 6.0", "integer"]),
    ({"trials": True}, ["trials = True", "integer"]),
    ({"families": 3}, ["families = 3"]),
    ({"data": 3}, ["data = 3"]),
    ({"training": 3}, ["training = 3"]),
    ({"training": [{}]}, ["training = [{}]"]),
    ({"training": {"optimizer_args": "momentum"}}, ["training.optimizer_args = 'momentum'"]),
    ({"training": {"diverge_factor": "3"}}, ["training.diverge_factor = '3'", "number"]),
    ({"space": {"peak_lr": "0.1"}}, ["space.peak_lr", "'0.1'", "number"]),
    ({"space": {"peak_lr": [True, 1.0]}}, ["space.peak_lr", "True"]),
    ({"space": {"peak_lr": [0.1]}}, ["space.peak_lr"]),
    ({"space": {"peak_lr": [0.1, 0.2, 0.3]}}, ["space.peak_lr", "at most 2"]),
    ({"ranges": {"StepLR": 3}}, ["ranges.StepLR = 3"]),
    ({"ranges": {"Step\nLR": 3}}, ["ranges.Step"]),
    # out of range
    ({"trials": 0}, ["trials = 0", "greater than or equal to 1"]),
    ({"seed": -1}, ["seed = -1"]),
    ({"training": {"total_steps": 0}}, ["training.total_steps = 0"]),
    ({"training": {"batch_size": 0}}, ["training.batch_size = 0"]),
    ({"training": {"evals_per_run": 0}}, ["training.evals_per_run = 0"]),
    ({"training": {"diverge_factor": 1.0}}, ["training.diverge_factor = 1.0", "greater than 1"]),
    ({"training": {"threads": -1}}, ["training.threads = -1"]),
    ({"training": {"step_unit": "epochs"}}, ["training.step_unit = 'epochs'", "'epoch'"]),
    ({"space": {"warmup": "yes"}}, ["space.warmup = 'yes'", "'optional'"]),
    ({"space": {"warmup_start_factor": 0.0}}, ["space.warmup_start_factor = 0.0"]),
    ({"space": {"warmup_start_factor": 1.5}}, ["space.warmup_start_factor = 1.5"]),
    ({"search": {"objective": 3}}, ["search.objective = 3", "string"]),
    ({"search": {"batch": -1}}, ["search.batch = -1"]),
    ({"search": {"history": -1}}, ["search.history = -1"]),
    # names of folders
    ({"name": ""}, ["name = ''"]),
    ({"name": ".hidden"}, ["name = '.hidden'", "no leading dot"]),
    ({"name": ".."}, ["name = '..'"]),
    ({"name": "a/b"}, ["name = 'a/b'", "no slash"]),
    ({"name": "a\\b"}, ["no slash"]),
    ({"name": "a\nb"}, ["name = 'a\\nb'", "printable"]),
    ({"name": "x" * 101}, ["at most 100"]),
)
# fmt: on


@pytest.mark.parametrize(("study", "words"), MISTAKES, ids=lambda value: str(value)[:50])
def test_mistakes_in_a_study_file(study: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        parsed(study)
    message = one_line(caught.value)
    for word in ("a.toml: ", *words):
        assert word in message


def test_a_key_that_is_like_no_other_is_offered_none() -> None:
    for table in ("training", "search"):
        with pytest.raises(ConfigError) as caught:
            parsed({table: {"foo": 1}})
        assert f"unknown key '{table}.foo'" in str(caught.value)
        assert "did you mean" not in str(caught.value)


def test_a_missing_key() -> None:
    with pytest.raises(ConfigError, match=r"^a\.toml: the key 'task' is missing$"):
        parse_config({"name": "a"}, "a.toml")


@pytest.mark.parametrize("name", ["a", "résumé 2", "x" * 100, "a.b-c_d"])
def test_names_that_are_allowed(name: str) -> None:
    assert parsed({"name": name}).name == name


@pytest.mark.parametrize(
    "content",
    [
        b"task = ",
        b'task = "digits',
        b'task = "a"\ntask = "b"',
        b"\xfftask",
        b"\xff\xfe\x00",
        b"task = 'a' trials = 3",
    ],
)
def test_a_file_that_is_no_toml(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "study.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert f"{path} is no TOML" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(ConfigError) as caught:
            load_config(path)
        assert f"cannot read the study file {path}: " in one_line(caught.value)


def test_a_study_is_named_after_its_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('task = "digits"\n[space]\npeak_lr = 1\n', encoding="utf-8")
    assert load_config(path).name == "mine"
    path.write_text('name = "other"\ntask = "digits"\n', encoding="utf-8")
    assert load_config(path).name == "other"
    path.write_text("trials = 3\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"mine\.toml: the key 'task' is missing"):
        load_config(path)
