"""The space of a study: its families, ranges and fingerprint, and what trials sample in it."""

from typing import Any

import optuna
import pytest
from live_runs import space
from optuna.trial import FixedTrial

from schedsearch.errors import ConfigError
from schedsearch.schedules.families import DEFAULT_FAMILIES, FAMILIES
from schedsearch.schedules.params import Choice, Fractions, Int, Param
from schedsearch.schedules.schedule import Warmup
from schedsearch.schedules.space import Space, suggest_schedule


def range_of(param: Param) -> Any:
    """Return what a study file would say to ask for the range that is searched anyway."""
    return list(param.choices) if isinstance(param, Choice) else [param.low, param.high]


EVERY_PARAM = [(family.name, param) for family in FAMILIES for param in family.params]
each_param = pytest.mark.parametrize(
    ("family", "param"), EVERY_PARAM, ids=[f"{name}.{param.name}" for name, param in EVERY_PARAM]
)


def narrower(param: Param) -> list[Any]:
    """Return ranges that differ from the usual one, some of them hardly."""
    if isinstance(param, Choice):
        others = [c for c in param.legal if c not in param.choices]
        return [[*param.choices, *others]] if others else [c for c in param.choices]
    if isinstance(param, Int):
        return [param.low, [param.low, param.high + 1]]
    if param.low == param.high:
        return [param.low * (1 - 1e-9)]
    if isinstance(param, Fractions):
        return [[param.low, param.high * (1 - 1e-9)], [param.low * (1 + 1e-9), param.high]]
    inner = [param.low + 1e-9 * param.high, param.high], [param.low, param.high * (1 - 1e-9)]
    return [*inner, param.high]


def test_names_stand_for_families() -> None:
    assert [f.name for f in space("all").families] == [f.name for f in FAMILIES]
    assert tuple(f.name for f in space("default").families) == DEFAULT_FAMILIES
    assert [f.name for f in space("StepLR").families] == ["StepLR"]
    assert [f.name for f in space(["SWALR", "StepLR"]).families] == ["SWALR", "StepLR"]


@each_param
def test_a_range_replaces_the_usual_one(family: str, param: Param) -> None:
    for wanted in narrower(param):
        changed = space("all", ranges={family: {param.name: wanted}})
        for old, new in zip(FAMILIES, changed.families, strict=True):
            for before, after in zip(old.params, new.params, strict=True):
                if (new.name, after.name) != (family, param.name):
                    assert after == before
                else:
                    both = wanted if isinstance(wanted, list) else [wanted, wanted]
                    assert range_of(after) in (both, [wanted])


@each_param
def test_the_fingerprint_changes_with_any_range(family: str, param: Param) -> None:
    usual = space("all").fingerprint()
    prints = [space("all", ranges={family: {param.name: r}}).fingerprint() for r in narrower(param)]
    assert len({usual, *prints}) == 1 + len(prints)
    same = space("all", ranges={family: {param.name: range_of(param)}})
    assert same.fingerprint() == usual


@pytest.mark.parametrize(
    "change",
    [
        {"families": ["StepLR"]},
        {"families": ["StepLR", "SWALR", "LinearLR"]},
        {"families": ["SWALR", "StepLR"]},  # Optuna refuses a categorical in another order
        {"peak_lr": (0.01, 1.0000001)},
        {"peak_lr": (0.0100000001, 1.0)},
        {"warmup": "none"},
        {"warmup": "always"},
        {"warmup_frac": (0.02, 0.1000001)},
        {"warmup_start_factor": 0.1},
        {"step_unit": "epoch"},
        {"evals": 21},
    ],
    ids=str,
)
def test_the_fingerprint_changes_with_all_that_is_sampled(change: dict[str, Any]) -> None:
    usual = space(["StepLR", "SWALR"]).fingerprint()
    assert len(usual) == 16
    assert int(usual, 16) >= 0
    assert space(["StepLR", "SWALR"]).fingerprint() == usual
    assert space(**{"families": ["StepLR", "SWALR"]} | change).fingerprint() != usual


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"families": "StepRL"}, "did you mean 'StepLR'?"),
    ({"families": ["StepLR", "Cosine"]}, "unknown family 'Cosine'"),
    ({"families": []}, "at least one family"),
    ({"families": ["StepLR", "StepLR"]}, "'StepLR' twice"),
    ({"families": "no_such_module:X"}, "cannot import 'no_such_module'"),
    ({"peak_lr": (1.0, 0.1)}, "low 1 is above high 0.1"),
    ({"peak_lr": (0.0, 0.1)}, "above 0"),
    ({"peak_lr": (0.1, float("inf"))}, "must be finite"),
    ({"peak_lr": (0.1, "1")}, "must be a number, not '1'"),
    ({"peak_lr": (0.1, 0.2, 0.3)}, "must be [low, high] or one number"),
    ({"warmup_frac": (0.0, 0.1)}, "above 0"),
    ({"warmup_frac": (0.1, 1.0)}, "below 1"),
    ({"ranges": {"StepRL": {}}}, "did you mean 'StepLR'?"),
    ({"families": ["StepLR"], "ranges": {"SWALR": {}}}, "'SWALR'"),
    ({"ranges": {"StepLR": {"gama": 0.1}}}, "did you mean 'gamma'?"),
    ({"ranges": {"StepLR": {"gamma": [0.5, 0.1]}}}, "StepLR.gamma: low 0.5 is above high 0.1"),
    ({"ranges": {"StepLR": {"gamma": [0.5, 1.5]}}}, "StepLR.gamma = 1.5 is not allowed"),
    ({"ranges": {"StepLR": {"gamma": [0.5]}}}, "must be [low, high] or one number"),
    ({"ranges": {"StepLR": {"gamma": "0.5"}}}, "must be a number"),
    ({"ranges": {"StepLR": {"gamma": {"low": 0.5}}}}, "must be a number"),
    ({"ranges": {"StepLR": {"gamma": float("nan")}}}, "must be finite"),
    ({"ranges": {"StepLR": {"gamma": 10**400}}}, "StepLR.gamma"),
    ({"ranges": {"CyclicLR": {"low_factor": [0.0, 0.5]}}}, "logarithmic"),
    ({"ranges": {"CyclicLR": {"cycles": [0, 3]}}}, "whole number from 1"),
    ({"ranges": {"CyclicLR": {"cycles": [1, 2.5]}}}, "whole number from 1"),
    ({"ranges": {"CyclicLR": {"mode": ["square"]}}}, "must be one of 'triangular'"),
    ({"ranges": {"CyclicLR": {"mode": []}}}, "at least one choice"),
    ({"ranges": {"MultiStepLR": {"milestones": [0.0, 0.5]}}}, "0 < low < high < 1"),
    ({"ranges": {"MultiStepLR": {"milestones": 0.5}}}, "0 < low < high < 1"),
]


@pytest.mark.parametrize(("changes", "words"), WRONG)
def test_wrong_spaces_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        space(**changes)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def sampled(count: int, over: Space, seed: int = 0) -> list[optuna.Trial]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    return [study.ask() for _ in range(count)]


def test_a_trial_names_what_it_samples_after_the_family_and_tells_the_schedule() -> None:
    everything = space("all")
    shared = {"family", "peak_lr", "warmup", "warmup_frac"}
    seen = set()
    for trial in sampled(400, everything):
        schedule = suggest_schedule(trial, everything)
        own = [name for name in trial.params if name not in shared]
        assert all(name.startswith(f"{schedule.family}.") for name in own)
        assert trial.params["family"] == schedule.family
        assert trial.params["peak_lr"] == schedule.peak_lr
        assert suggest_schedule(FixedTrial(trial.params), everything) == schedule
        assert type(schedule).from_json(schedule.to_json()) == schedule
        seen.add((schedule.family, schedule.warmup is not None))
    rising = {family.name for family in FAMILIES if family.rises}
    assert seen == {(f.name, False) for f in FAMILIES} | {
        (f.name, True) for f in FAMILIES if f.name not in rising
    }


@pytest.mark.parametrize("rule", ["none", "optional", "always"])
def test_the_rule_for_warmups(rule: str) -> None:
    some = space(["StepLR", "OneCycleLR"], warmup=rule, warmup_start_factor=0.2)
    warm = {"StepLR": set(), "OneCycleLR": set()}  # type: dict[str, set[bool]]
    for trial in sampled(60, some):
        schedule = suggest_schedule(trial, some)
        warm[schedule.family].add(schedule.warmup is not None)
        if schedule.warmup:
            assert schedule.warmup == Warmup(trial.params["warmup_frac"], 0.2)
            assert 0.02 <= schedule.warmup.frac <= 0.1
        assert ("warmup" in trial.params) is (rule == "optional" and schedule.family == "StepLR")
    expected = {"none": {False}, "optional": {True, False}, "always": {True}}
    assert warm == {"StepLR": expected[rule], "OneCycleLR": {False}}


def test_what_is_fixed_is_not_asked() -> None:
    fixed = space(
        "StepLR",
        peak_lr=(0.3, 0.3),
        warmup="always",
        warmup_frac=(0.07, 0.07),
        step_unit="epoch",
        evals=5,
        ranges={"StepLR": {"gamma": 0.2, "step_frac": [0.25, 0.25]}},
    )
    schedule = suggest_schedule(FixedTrial({}), fixed)
    assert (schedule.peak_lr, schedule.step_unit, schedule.evals) == (0.3, "epoch", 5)
    assert schedule.params == {"step_frac": 0.25, "gamma": 0.2}
    assert schedule.warmup == Warmup(0.07, 0.01)


def test_samples_stay_inside_the_ranges_that_are_asked_for() -> None:
    ranges = {
        "CyclicLR": {"mode": ["exp_range", "triangular"], "cycles": [2, 3], "final_factor": 0.5},
        "MultiStepLR": {"milestones": [0.6, 0.7], "gamma": [0.3, 0.4]},
        "OneCycleLR": {"cycle_momentum": [True, False]},
    }
    some = space(list(ranges), ranges=ranges)
    momenta = set()
    for trial in sampled(150, some):
        schedule = suggest_schedule(trial, some)
        params: Any = schedule.params
        if schedule.family == "CyclicLR":
            assert params["cycles"] in (2, 3)
            assert params["mode"] != "triangular2"
            assert params.get("final_factor") == (0.5 if params["mode"] == "exp_range" else None)
        elif schedule.family == "MultiStepLR":
            assert 0.6 < min(params["milestones"]) <= max(params["milestones"]) < 0.7
            assert 0.3 <= params["gamma"] <= 0.4
        else:
            momenta.add(params["cycle_momentum"])
    assert momenta == {True, False}
