"""A run that was stopped goes on exactly as if it had not been."""

from collections.abc import Callable

import pytest
from live_runs import LiveRun, one_group, schedule_of, two_groups
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch_loops import ORACLE, STEPS, WARMUP, Row

from schedsearch.errors import ScheduleError
from schedsearch.schedules.schedule import Schedule

each_row = pytest.mark.parametrize("row", ORACLE, ids=str)

# At the start, in the ramp, around its end, at an evaluation, between two, before the last step.
STOPS = {0: (1, 60, 97, 119), WARMUP: (1, 17, 29, 30, 31, 90, 149)}


@each_row
@pytest.mark.parametrize("warmup", [0, WARMUP])
@pytest.mark.parametrize("optimizer", [one_group, two_groups])
def test_saved_states_continue_the_run(
    row: Row, warmup: int, optimizer: Callable[[], Optimizer]
) -> None:
    run = LiveRun(row, warmup, optimizer=optimizer())
    saved = {}
    for stop in STOPS[warmup]:
        run.go(stop)
        saved[stop] = run.save()
    whole = run.go()
    for stop, state in saved.items():
        later = LiveRun(row, warmup, optimizer=optimizer()).load(state)
        assert later.step == stop
        seen = later.go()
        assert seen.group_rates == whole.group_rates[stop:]
        assert seen.momenta == whole.momenta[stop:]
        assert seen.weights == whole.weights


@each_row
@pytest.mark.parametrize("warmup", [0, WARMUP])
def test_last_epoch_continues_the_run_where_no_metric_matters(row: Row, warmup: int) -> None:
    whole = LiveRun(row, warmup).go()
    for stop in STOPS[warmup]:
        if row.plateau:
            with pytest.raises(ScheduleError, match="load_state_dict"):
                LiveRun(row, warmup, step=stop)
        else:
            seen = LiveRun(row, warmup, step=stop).go()
            assert seen.rates == whole.rates[stop:]
            assert seen.momenta == whole.momenta[stop:]


@pytest.mark.parametrize("row", [row for row in ORACLE if not row.plateau], ids=str)
def test_last_epoch_takes_the_optimizer_as_the_run_left_it(row: Row) -> None:
    whole = LiveRun(row, WARMUP, optimizer=two_groups()).go()
    run = LiveRun(row, WARMUP, optimizer=two_groups())
    run.go(90)
    seen = LiveRun(row, WARMUP, optimizer=run.optimizer, step=90).go()
    for rates, expected in zip(seen.group_rates, whole.group_rates[90:], strict=True):
        assert rates == pytest.approx(expected, rel=1e-12)


def test_the_state_keeps_what_the_factors_of_a_lambda_are_made_of() -> None:
    schedule = Schedule("InverseSqrt", 0.5, {"timescale_frac": 0.1})
    scheduler = schedule.build(one_group(), STEPS)
    assert scheduler.state_dict()["lr_lambdas"] == [{"timescale_steps": 12}]
    other = schedule.build(one_group(), 10 * STEPS)
    other.load_state_dict(scheduler.state_dict())
    assert isinstance(other, LambdaLR)
    assert other.lr_lambdas[0] == scheduler.lr_lambdas[0]  # type: ignore[attr-defined]


@pytest.mark.parametrize("last_epoch", [-2, -10])
def test_last_epoch_below_minus_one_is_refused(last_epoch: int) -> None:
    with pytest.raises(ScheduleError, match=f"last_epoch = {last_epoch} is not allowed"):
        schedule_of(ORACLE[1]).build(one_group(), STEPS, last_epoch=last_epoch)


def test_last_epoch_beyond_the_horizon_is_refused() -> None:
    schedule = Schedule("OneCycleLR", 0.1)
    assert schedule.build(one_group(), STEPS, last_epoch=STEPS - 1).last_epoch == STEPS
    with pytest.raises(ScheduleError):
        schedule.build(one_group(), STEPS, last_epoch=STEPS)
