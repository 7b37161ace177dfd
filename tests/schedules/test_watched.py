"""What a schedule that reacts to a metric watches, and how it judges values below zero."""

from typing import cast

import pytest
import torch
from torch.optim import SGD
from torch.optim.lr_scheduler import ReduceLROnPlateau

from schedsearch.errors import ConfigError, ScheduleError
from schedsearch.schedules.schedule import Schedule
from schedsearch.schedules.space import make_space
from schedsearch.schedules.wrappers import PlateauLR

PARAMS = {"mode": "min", "factor": 0.5, "patience_frac": 0.0, "threshold": 0.01}


def rates_of(metrics: list[float], mode: str) -> list[float]:
    """Return the rate after each metric."""
    optimizer = SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = Schedule("ReduceLROnPlateau", 1.0, PARAMS | {"mode": mode})
    scheduler = cast(PlateauLR, schedule.build(optimizer, len(metrics), evals=len(metrics)))
    rates = []
    for metric in metrics:
        optimizer.step()
        scheduler.step()
        scheduler.step(metric)
        rates.append(float(optimizer.param_groups[0]["lr"]))
    return rates


def test_torch_itself_never_cuts_below_zero() -> None:
    """The trap: a loss that gets worse from -1.0 on counts as better each time."""
    optimizer = SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    plain = ReduceLROnPlateau(optimizer, "min", factor=0.5, patience=0, threshold=0.01)
    for loss in (-1.0, -0.995, -0.99, -0.985):
        plain.step(loss)
    assert optimizer.param_groups[0]["lr"] == 1.0


@pytest.mark.parametrize(
    ("mode", "metrics", "cuts"),
    [
        ("min", [-1.0, -0.995, -0.99, -0.985], [0, 1, 2, 3]),
        ("min", [-1.0, -1.005, -1.02, -1.025], [0, 1, 1, 2]),  # 1 % of the best is what counts
        ("min", [0.5, -0.1, -0.1005, -0.2], [0, 0, 1, 1]),
        ("max", [-1.0, -0.995, -0.98, -0.9], [0, 1, 1, 1]),
        ("max", [-1.0, -1.5, -2.0, -2.5], [0, 1, 2, 3]),
        ("max", [0.5, 0.5, 0.6, 0.6], [0, 1, 1, 2]),
    ],
)
def test_values_below_zero(mode: str, metrics: list[float], cuts: list[int]) -> None:
    assert rates_of(metrics, mode) == [0.5**count for count in cuts]


def test_above_zero_the_cuts_are_those_of_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    metrics = (1 + torch.rand(40, generator=generator)).tolist()
    optimizer = SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    plain = ReduceLROnPlateau(
        optimizer, "min", factor=0.5, patience=0, threshold=0.01, min_lr=1e-4, eps=0.0
    )
    expected = []
    for metric in metrics:
        plain.step(metric)
        expected.append(optimizer.param_groups[0]["lr"])
    assert rates_of(metrics, "min") == expected
    assert expected[-1] < 1


def test_a_metric_by_its_name() -> None:
    schedule = Schedule("ReduceLROnPlateau", 0.1, {"mode": "max"}, metric="val_macro_f1")
    assert schedule.monitor == "val_macro_f1"
    assert Schedule.from_json(schedule.to_json()) == schedule
    assert Schedule("ReduceLROnPlateau", 0.1, {"mode": "max"}).monitor == "val_accuracy"
    plain = Schedule("ReduceLROnPlateau", 0.1, {"mode": "min"}, metric="val_loss")
    assert plain == Schedule("ReduceLROnPlateau", 0.1, {"mode": "min"})
    assert "metric" not in plain.to_dict()
    with pytest.raises(ScheduleError, match="StepLR reacts to no metric"):
        Schedule("StepLR", 0.1, metric="val_loss")


SHARED = {
    "peak_lr": (0.01, 0.1),
    "warmup": "none",
    "warmup_frac": (0.02, 0.1),
    "warmup_start_factor": 0.01,
    "step_unit": "step",
    "evals": 20,
}


def test_a_plateau_offers_only_what_the_task_has() -> None:
    (family,) = make_space(
        ["ReduceLROnPlateau"],
        watched={"min": "val_loss"},
        **SHARED,  # type: ignore[arg-type]
    ).families
    (mode,) = (param for param in family.params if param.name == "mode")
    assert mode.extremes() == ("min",)
    with pytest.raises(ConfigError, match=r"mode = 'max': the task reports nothing .* val_loss"):
        make_space(
            ["ReduceLROnPlateau"],
            watched={"min": "val_loss"},
            ranges={"ReduceLROnPlateau": {"mode": "max"}},
            **SHARED,  # type: ignore[arg-type]
        )
