"""A schedule is a frozen value: equal, hashed, copied and written exactly; checked when made."""

import copy
import json
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from live_runs import schedule_of
from torch_loops import ORACLE, WARMUP, Row

from schedsearch.errors import ScheduleError
from schedsearch.schedules.families import FAMILIES
from schedsearch.schedules.schedule import Schedule, Warmup

each_row = pytest.mark.parametrize("row", ORACLE, ids=str)
STEP = Schedule("StepLR", 0.1, warmup=Warmup(0.1))


@each_row
def test_json_and_pickle_are_exact(row: Row) -> None:
    for one in (schedule_of(row), schedule_of(row, WARMUP, 1 / 3)):
        schedule = replace(one, peak_lr=0.1 + 0.2, step_unit="epoch", evals=7)
        twins = [
            Schedule.from_json(schedule.to_json()),
            Schedule.from_dict(schedule.to_dict()),
            pickle.loads(pickle.dumps(schedule)),
            copy.deepcopy(schedule),
        ]
        for twin in twins:
            assert twin == schedule
            assert hash(twin) == hash(schedule)
            assert twin.to_json() == schedule.to_json()
            assert twin.params == schedule.params
            assert [type(v) for v in twin.params.values()] == [
                type(v) for v in schedule.params.values()
            ]
        assert replace(schedule, peak_lr=0.2) != schedule


def test_json_is_plain_and_strict() -> None:
    assert json.loads(STEP.to_json()) == {
        "format": "schedsearch.schedule",
        "version": 2,
        "family": "StepLR",
        "peak_lr": 0.1,
        "params": {"step_frac": 1 / 3, "gamma": 0.1},
        "warmup": {"frac": 0.1, "start_factor": 0.01},
        "step_unit": "step",
        "evals": 20,
    }


def test_what_is_left_out_is_the_default() -> None:
    for family in FAMILIES:
        schedule = Schedule(family.name, 0.1)
        assert schedule == Schedule(family.name, 0.1, dict(schedule.params))
        for param in family.params:
            if param.when is None:
                assert schedule.params[param.name] == param.default


def test_equal_schedules_have_equal_hashes() -> None:
    assert Schedule("StepLR", 1) == Schedule("StepLR", 1.0, {"step_frac": 1 / 3})
    assert len({Schedule("StepLR", 1), Schedule("StepLR", 1.0), Schedule("StepLR", 2)}) == 2
    zeros = Schedule("LinearLR", 1.0, {"end_factor": -0.0}), Schedule("LinearLR", 1.0)
    assert zeros[0] == zeros[1]
    assert hash(zeros[0]) == hash(zeros[1])


def test_nothing_can_be_changed() -> None:
    given = {"gamma": 0.5}
    schedule = Schedule("StepLR", 0.1, given)
    given["gamma"] = 0.9
    schedule.to_dict()["params"]["gamma"] = 0.9
    assert schedule.params["gamma"] == 0.5
    with pytest.raises(FrozenInstanceError):
        schedule.peak_lr = 0.2  # type: ignore[misc]
    with pytest.raises(TypeError):
        schedule.params["gamma"] = 0.9  # type: ignore[index]


def refused(make: Callable[[], object], words: str) -> None:
    """Assert an error of one line that holds the words."""
    with pytest.raises(ScheduleError) as caught:
        make()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


HUGE = 10**400  # JSON has such numbers, a float can't hold them

WRONG_VALUES: list[tuple[str, dict[str, Any], str]] = [
    ("StepRL", {}, "did you mean 'StepLR'? (allowed: Constant, StepLR,"),
    ("cosineannealinglr", {}, "did you mean 'CosineAnnealingLR'?"),
    ("zzz", {}, "unknown family 'zzz': (allowed: Constant,"),
    ("StepLR", {"gama": 0.1}, "unknown parameter of StepLR 'gama': did you mean 'gamma'?"),
    ("StepLR", {"gamma": 0.0}, "StepLR.gamma = 0 is not allowed: it must be above 0 and at most 1"),
    ("StepLR", {"gamma": 1.01}, "StepLR.gamma = 1.01 is not allowed"),
    ("StepLR", {"gamma": float("nan")}, "StepLR.gamma must be finite, not nan"),
    ("StepLR", {"gamma": float("inf")}, "StepLR.gamma must be finite, not inf"),
    ("StepLR", {"gamma": "0.1"}, "StepLR.gamma must be a number, not '0.1'"),
    ("StepLR", {"gamma": True}, "StepLR.gamma must be a number, not True"),
    ("StepLR", {"gamma": None}, "StepLR.gamma must be a number, not None"),
    ("StepLR", {"gamma": HUGE}, "StepLR.gamma"),
    ("MultiStepLR", {"milestones": []}, "must be a list of fractions of the horizon, not []"),
    ("MultiStepLR", {"milestones": 0.5}, "must be a list of fractions of the horizon, not 0.5"),
    ("MultiStepLR", {"milestones": [0.7, 0.3]}, "must rise, strictly between 0 and 1"),
    ("MultiStepLR", {"milestones": [0.5, 0.5]}, "must rise"),
    ("MultiStepLR", {"milestones": [0.0, 0.5]}, "strictly between 0 and 1"),
    ("MultiStepLR", {"milestones": [0.5, 1.0]}, "strictly between 0 and 1"),
    ("MultiStepLR", {"milestones": ["a"]}, "must be a number, not 'a'"),
    ("CyclicLR", {"cycles": 0}, "must be a whole number from 1"),
    ("CyclicLR", {"cycles": 2.5}, "must be a whole number from 1"),
    ("CyclicLR", {"cycles": HUGE}, "CyclicLR.cycles"),
    ("CyclicLR", {"mode": "square"}, "one of 'triangular', 'triangular2', 'exp_range'"),
    ("CyclicLR", {"cycle_momentum": 1}, "must be one of False, True"),
    ("CyclicLR", {"final_factor": 0.1}, "has a meaning only when mode is 'exp_range'"),
    ("ReduceLROnPlateau", {"factor": 1.0}, "above 0 and below 1"),
    ("ReduceLROnPlateau", {"mode": "median"}, "must be one of 'min', 'max'"),
    ("WarmupStableDecay", {"decay": "sqrt"}, "must be one of '1-sqrt', 'linear', 'cosine'"),
]


@pytest.mark.parametrize(("family", "params", "words"), WRONG_VALUES)
def test_wrong_values_are_refused(family: str, params: dict[str, Any], words: str) -> None:
    refused(lambda: Schedule(family, 0.1, params), words)


WRONG_TABLES: list[tuple[dict[str, Any], str]] = [
    ({"format": "other"}, "this is no schedule"),
    ({"version": 3}, "of version 3, and this schedsearch reads version 2: install a newer one"),
    ({"version": 1}, "of version 1, and this schedsearch reads version 2: run the study again"),
    ({"version": None}, "of version None"),
    ({"famly": "StepLR"}, "unknown key of a schedule 'famly': did you mean 'family'?"),
    ({"family": 3}, "family must be a name"),
    ({"family": "StepL"}, "did you mean 'StepLR'?"),
    ({"family": "os:system"}, "must be a schedsearch.Family"),
    ({"family": "no.such.module:X"}, "import no.such.module before"),
    ({"params": [1]}, "params a table"),
    ({"params": {"gmma": 0.1}}, "did you mean 'gamma'?"),
    ({"peak_lr": 0}, "peak_lr = 0 is not allowed: it must be above 0"),
    ({"peak_lr": -0.1}, "peak_lr = -0.1 is not allowed"),
    ({"peak_lr": float("nan")}, "peak_lr must be finite"),
    ({"peak_lr": float("inf")}, "peak_lr must be finite"),
    ({"peak_lr": "0.1"}, "peak_lr must be a number, not '0.1'"),
    ({"peak_lr": False}, "peak_lr must be a number, not False"),
    ({"peak_lr": None}, "peak_lr must be a number, not None"),
    ({"peak_lr": HUGE}, "peak_lr"),
    ({"warmup": 0.1}, "warmup must be null or a table"),
    ({"warmup": {}}, "warmup must be null or a table"),
    ({"warmup": {"frac": 0.1, "start": 0.1}}, "did you mean 'start_factor'?"),
    ({"warmup": {"frac": 0}}, "warmup.frac = 0 is not allowed: it must be above 0 and at most 1"),
    ({"warmup": {"frac": 1.0}}, "nothing is left for the body"),
    ({"warmup": {"frac": 1.5}}, "warmup.frac = 1.5 is not allowed"),
    ({"warmup": {"frac": float("nan")}}, "warmup.frac must be finite"),
    ({"warmup": {"frac": "0.1"}}, "warmup.frac must be a number"),
    ({"warmup": {"frac": 0.1, "start_factor": 0}}, "warmup.start_factor = 0 is not allowed"),
    ({"warmup": {"frac": 0.1, "start_factor": 2}}, "warmup.start_factor = 2 is not allowed"),
    ({"step_unit": "batch"}, "unknown step_unit 'batch': (allowed: step, epoch)"),
    ({"step_unit": "epochs"}, "did you mean 'epoch'?"),
    ({"step_unit": None}, "unknown step_unit None"),
    ({"evals": 0}, "evals = 0 is not allowed"),
    ({"evals": 2.0}, "evals = 2.0 is not allowed"),
    ({"evals": True}, "evals = True is not allowed"),
]


@pytest.mark.parametrize(("changes", "words"), WRONG_TABLES)
def test_wrong_tables_are_refused(changes: dict[str, Any], words: str) -> None:
    table = STEP.to_dict() | changes
    refused(lambda: Schedule.from_dict(table), words)
    refused(lambda: Schedule.from_json(json.dumps(table)), words)


@pytest.mark.parametrize("key", STEP.to_dict())
def test_a_missing_key_is_refused(key: str) -> None:
    table = STEP.to_dict()
    del table[key]
    refused(lambda: Schedule.from_dict(table), "version None" if key == "version" else key)


@pytest.mark.parametrize("text", ["", "{", "null", "[]", '"StepLR"', "NaN", "{}"])
def test_other_text_is_refused(text: str) -> None:
    refused(lambda: Schedule.from_json(text), "this is no")


def test_text_that_is_cut_off_anywhere_is_refused() -> None:
    text = STEP.to_json()
    for length in range(len(text)):
        refused(lambda: Schedule.from_json(text[:length]), "this is no complete JSON")  # noqa: B023


@pytest.mark.parametrize("text", ["[" * 100_000, f'{{"peak_lr": {"1" * 5000}}}'])
def test_text_that_python_cannot_hold_is_refused(text: str) -> None:
    refused(lambda: Schedule.from_json(text), "JSON")
