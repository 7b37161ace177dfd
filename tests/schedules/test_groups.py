"""Groups of different rates keep their ratios; rates that are tensors are changed in place."""

import pytest
import torch
from live_runs import LiveRun, one_group, trace, two_groups
from torch.optim import SGD, AdamW, Optimizer
from torch_loops import ORACLE, RATE, WARMUP, Row, tiny_weights

from schedsearch.errors import ScheduleError
from schedsearch.schedules.schedule import Schedule

each_row = pytest.mark.parametrize("row", ORACLE, ids=str)
each_start = pytest.mark.parametrize("warmup", [0, WARMUP])


def grouped(*rates: float) -> Optimizer:
    return SGD([{"params": [tiny_weights()], "lr": rate} for rate in rates], momentum=0.9)


@each_row
@each_start
def test_ratios_hold_at_every_step_and_the_highest_leads(row: Row, warmup: int) -> None:
    """A hundredth is below the lowest rate of the leading group, where there is a lowest."""
    alone = trace(row, warmup)
    for low, high in LiveRun(row, warmup, optimizer=two_groups()).go().group_rates:
        assert low == pytest.approx(high / 100, rel=1e-12, abs=1e-16)
        assert high == alone.pop(0)
    assert not alone


def test_equal_groups_and_three_groups() -> None:
    schedule = Schedule("CosineAnnealingLR", 0.4, {"final_factor": 0.5})
    for rates, expected in (
        ((0.3, 0.3), [[0.4, 0.4], [0.3, 0.3]]),
        ((0.1, 0.2, 0.05), [[0.2, 0.4, 0.1], [0.15, 0.3, 0.075]]),
        ((0.1, 0.0), [[0.4, 0.0], [0.3, 0.0]]),
    ):
        optimizer = grouped(*rates)
        scheduler = schedule.build(optimizer, 2)
        for now in expected:
            assert scheduler.get_last_lr() == pytest.approx(now)
            assert scheduler.get_last_lr() == [g["lr"] for g in optimizer.param_groups]
            optimizer.step()
            scheduler.step()


def test_rates_that_are_all_zero_say_no_ratio() -> None:
    with pytest.raises(ScheduleError, match="rates are all 0"):
        Schedule("StepLR", 0.1).build(grouped(0.0, 0.0), 10)


def test_base_lr_replaces_the_optimizers_own_rate() -> None:
    optimizer = one_group()
    Schedule("StepLR", 0.7).build(optimizer, 10)
    assert optimizer.param_groups[0]["lr"] == 0.7


@each_row
@each_start
def test_tensor_rates_are_changed_in_place(row: Row, warmup: int) -> None:
    rate = torch.tensor(0.1)
    run = LiveRun(row, warmup, optimizer=AdamW([tiny_weights()], lr=rate, foreach=False))
    rates = run.go().rates
    assert rates == pytest.approx(trace(row, warmup), abs=1e-6 * RATE)
    assert run.optimizer.param_groups[0]["lr"] is rate
