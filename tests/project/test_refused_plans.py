"""Plans: what the registries, the data and the machine refuse, in one line, before a study."""

from typing import Any

import pytest

from schedsearch.config import StudyConfig, parse_config
from schedsearch.errors import ConfigError, SchedsearchError
from schedsearch.schedules.families import FAMILIES
from schedsearch.schedules.space import suggest_schedule
from schedsearch.search.draft import draft_of
from schedsearch.tasks.registry import load_task
from schedsearch.training.optimizers import OptimizerSpec


def parsed(study: dict[str, Any]) -> StudyConfig:
    return parse_config({"name": "a", "task": "digits"} | study)


def one_line(error: BaseException) -> str:
    message = str(error)
    assert message
    assert "\n" not in message
    return message


def ranges(family: str, **params: Any) -> dict[str, Any]:
    return {"families": [family], "ranges": {family: params}}


def optimizer(name: str, **args: Any) -> dict[str, Any]:
    return {"training": {"optimizer": name, "optimizer_args": args}}


SHORT = {"total_steps": 3, "evals_per_run": 1}
ADAGRAD = optimizer("Adagrad")

# fmt: off
REFUSED: tuple[tuple[dict[str, Any], list[str]], ...] = (
    # unknown names: the nearest is offered
    ({"task": "digit"}, ["unknown task 'digit'", "did you mean 'digits'"]),
    ({"model": "mpl"}, ["unknown model of task digits 'mpl'", "did you mean 'mlp'"]),
    ({"families": ["StepRL"]}, ["unknown family 'StepRL'", "did you mean 'StepLR'"]),
    ({"families": "onecyclelr"}, ["unknown family", "did you mean 'OneCycleLR'"]),
    ({"families": ["SequentialLR"]}, ["family 'SequentialLR'", "mean 'WarmupStableDecay'?"]),
    ({"families": ["LambdaLR"]}, ["family 'LambdaLR'", "mean 'InverseSqrt' or 'REX'?"]),
    ({"families": ["MultiplicativeLR"]}, ["'MultiplicativeLR'", "mean 'HoldThenExponential'?"]),
    ({"families": ["ChainedScheduler"]}, ["'ChainedScheduler'", "'CosineTimesExponential'?"]),
    ({"training": {"engine": "fusde"}}, ["unknown engine 'fusde'", "did you mean 'fused'"]),
    ({"confirmation": {"test": "welsh"}}, ["'welsh'", "did you mean 'welch'"]),
    (optimizer("Adamw"), ["unknown optimizer 'Adamw'", "did you mean 'AdamW'"]),
    (optimizer("LBFGS"), ["unknown optimizer 'LBFGS'"]),
    ({"search": {"sampler": "tpe"}}, ["unknown sampler 'tpe'", "did you mean 'TPE'"]),
    ({"search": {"pruner": "Median"}}, ["unknown pruner 'Median'", "mean 'MedianPruner'"]),
    (ranges("StepLR", gama=0.1), ["[ranges.StepLR]", "'gama'", "did you mean 'gamma'"]),
    ({"ranges": {"StepRL": {}}}, ["[ranges] 'StepRL'", "did you mean 'StepLR'"]),
    ({"families": ["StepLR"], "ranges": {"LinearLR": {}}}, ["[ranges] 'LinearLR'"]),
    # import paths
    ({"task": "no_such_module:X"}, ["no_such_module:X", "cannot import"]),
    ({"task": ":X"}, [":X"]),
    (optimizer("no_such_module:X"), ["no_such_module:X", "cannot import"]),
    (optimizer("math:pi"), ["math:pi"]),
    (optimizer(":X"), [":X"]),
    ({"families": ["no_such_module:X"]}, ["no_such_module:X", "cannot import"]),
    ({"families": ["math:pi"]}, ["math:pi"]),
    ({"families": [":X"]}, [":X"]),
    # families and ranges
    ({"families": []}, ["at least one family"]),
    ({"families": ["StepLR", "StepLR"]}, ["'StepLR' twice"]),
    (ranges("StepLR", gamma=[0.5, 2.0]), ["ranges.StepLR.gamma = 2", "at most 1"]),
    (ranges("StepLR", gamma=[0.5, 0.1]), ["ranges.StepLR.gamma", "above high"]),
    (ranges("StepLR", gamma="small"), ["ranges.StepLR.gamma", "number"]),
    (ranges("CyclicLR", mode=["triangle"]), ["ranges.CyclicLR.mode = 'triangle'"]),
    (ranges("CyclicLR", cycles=[1.5, 2]), ["ranges.CyclicLR.cycles", "whole number"]),
    ({"space": {"peak_lr": [1.0, 0.1]}}, ["space.peak_lr", "above high"]),
    ({"space": {"peak_lr": [0.0, 0.1]}}, ["space.peak_lr = 0", "above 0"]),
    ({"space": {"peak_lr": [0.1, float("inf")]}}, ["space.peak_lr", "finite"]),
    ({"space": {"peak_lr": [float("nan"), 0.1]}}, ["space.peak_lr", "finite"]),
    ({"space": {"warmup_frac": [0.5, 1.0]}}, ["space.warmup_frac = 1", "below 1"]),
    # arguments that a class does not take
    (optimizer("SGD", moment=0.9), ["SGD", "moment"]),
    (optimizer("SGD", momentum=-1), ["SGD", "momentum"]),
    (optimizer("SGD", lr=0.1), ["lr", "peak_lr"]),
    (optimizer("SGD", fused=True, foreach=True), ["SGD", "fused"]),
    (optimizer("AdamW", betas=0.9), ["AdamW", "betas"]),
    (optimizer("AdamW", betas={"beta1": 0.9}), ["AdamW", "betas"]),
    (optimizer("Muon"), ["Muon", "2D"]),
    ({"search": {"sampler_args": {"startup": 3}}}, ["TPE", "startup"]),
    ({"search": {"sampler_args": {"seed": 3}}}, ["seed"]),
    ({"search": {"pruner": "MedianPruner", "pruner_args": {"x": 1}}}, ["MedianPruner", "'x'"]),
    # the data, the horizon
    ({"training": {"batch_size": 1201}}, ["batch_size = 1201", "1200"]),
    ({"training": {"total_steps": 19}}, ["training.total_steps = 19", "20 evaluations"]),
    ({"training": {"total_steps": 20}}, ["training.total_steps = 20", "warm-up"]),
    ({"training": {"step_unit": "epoch"}, "space": {"warmup_frac": [0.001, 0.1]}}, ["warm-up"]),
    ({"families": ["OneCycleLR"], "training": SHORT, "space": {"warmup": "none"}}, ["OneCycleLR"]),
    ({"task": "fashion_mnist", "data": "~no-such-user-here/data"}, ["no-such-user-here"]),
    # momentum that the optimizer does not have
    (ranges("CyclicLR", cycle_momentum=True) | ADAGRAD, ["CyclicLR", "momentum"]),
    (ranges("OneCycleLR", cycle_momentum=True) | ADAGRAD, ["OneCycleLR", "momentum"]),
    (ranges("CyclicLR", cycle_momentum=[False, True]) | ADAGRAD, ["CyclicLR", "momentum"]),
)
# fmt: on


@pytest.mark.parametrize(("study", "words"), REFUSED, ids=lambda value: str(value)[:60])
def test_what_a_plan_refuses(study: dict[str, Any], words: list[str]) -> None:
    config = parsed(study)
    with pytest.raises(SchedsearchError) as caught:
        draft_of(config, "cpu")
    message = one_line(caught.value)
    for word in words:
        assert word in message


@pytest.mark.parametrize("device", ["cuda:97", "gpu", "", "cuda:x", "meta", "privateuseone"])
def test_a_device_that_is_not_there(device: str) -> None:
    with pytest.raises(SchedsearchError) as caught:
        draft_of(parsed({}), device)
    message = one_line(caught.value)
    assert repr(device) in message
    assert "cpu" in message


@pytest.mark.parametrize("total_steps", [2, 3, 4, 5, 7, 10, 50])
@pytest.mark.parametrize("family", [family.name for family in FAMILIES])
def test_a_plan_that_is_accepted_builds_all_that_it_samples(family: str, total_steps: int) -> None:
    """Otherwise a study would end with an error in its middle, at every call again."""
    study = {
        "families": [family],
        "training": {"total_steps": total_steps, "evals_per_run": 1},
        "space": {"warmup": "none"},
    }
    try:
        draft = draft_of(parsed(study), "cpu")
    except ConfigError:
        return  # refused beforehand
    params = list(load_task("digits").model(0).parameters())
    for corner in range(16):
        highest = [bool(corner >> i & 1) for i in range(4)] * 5
        schedule = suggest_schedule(Draws(highest), draft.space)
        schedule.build(OptimizerSpec().make(params, lr=1.0), total_steps, evals=1)


class Draws:
    """A trial that answers with the lowest and the highest values in turn, as told."""

    def __init__(self, highest: list[bool]) -> None:
        self.highest = highest

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return high if self.highest.pop(0) else low

    def suggest_int(self, name: str, low: int, high: int) -> int:
        return high if self.highest.pop(0) else low

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return choices[-1 if self.highest.pop(0) else 0]


def test_a_single_number_fixes_what_is_searched() -> None:
    config = parsed(
        {
            "families": ["StepLR"],
            "space": {"peak_lr": 0.1, "warmup_frac": 0.05, "warmup": "always"},
            "ranges": {"StepLR": {"step_frac": 0.25, "gamma": 1}},
        }
    )
    schedule = suggest_schedule(Draws([]), draft_of(config, "cpu").space)
    assert schedule.peak_lr == 0.1
    assert dict(schedule.params) == {"step_frac": 0.25, "gamma": 1.0}
    assert schedule.warmup is not None
    assert schedule.warmup.frac == 0.05
