"""What goes wrong with torch's schedulers used carelessly: one test a trap."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, cast

import pytest
from live_runs import LiveRun, one_group, schedule_of, trace, two_groups
from torch.optim import SGD, Adagrad, AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR
from torch_loops import ORACLE, STEPS, WARMUP, Row, tiny_weights, train_step

from schedsearch.errors import ScheduleError
from schedsearch.schedules.families import FAMILIES
from schedsearch.schedules.family import Family
from schedsearch.schedules.schedule import Schedule

each_row = pytest.mark.parametrize("row", ORACLE, ids=str)


def adamw() -> Optimizer:
    return AdamW([tiny_weights()], lr=0.1, betas=(0.9, 0.95))


def test_one_cycle_shows_no_rate_that_nothing_is_trained_with() -> None:
    schedule = Schedule("OneCycleLR", 0.5, {"anneal_strategy": "linear"})
    rates = schedule.trace(STEPS)
    assert rates[-1] == pytest.approx(0.5 / 25 / 1e4)
    run = LiveRun(Row("OneCycleLR", {"anneal_strategy": "linear"}, None))
    run.go()  # 120 calls of step() are no error, and leave behind what torch shows:
    assert run.optimizer.param_groups[0]["lr"] < 0
    assert run.seen.rates == rates


def test_torchs_one_cycle_divides_by_zero() -> None:
    with pytest.raises(ZeroDivisionError):
        OneCycleLR(one_group(), 0.5, total_steps=10, pct_start=0.1)


@pytest.mark.parametrize("three_phase", [False, True])
@pytest.mark.parametrize("pct_start", [1e-9, 0.1, 0.25, 0.3, 1 / 3, 0.45, 0.5])
def test_one_cycle_at_small_horizons(pct_start: float, three_phase: bool) -> None:
    for total_steps in range(4, 41):
        for strategy in ("cos", "linear"):
            params = {"pct_start": pct_start, "anneal_strategy": strategy}
            schedule = Schedule("OneCycleLR", 0.5, params | {"three_phase": three_phase}, evals=1)
            rates = schedule.trace(total_steps)
            top = rates.index(max(rates))
            assert rates[0] == pytest.approx(0.02)
            assert 0.3 < rates[top] <= 0.5 + 1e-12
            assert rates[: top + 1] == sorted(rates[: top + 1])
            assert rates[top:] == sorted(rates[top:], reverse=True)
            assert min(rates) > 0


@pytest.mark.parametrize("total_steps", [1, 2, 3])
def test_one_cycle_needs_four_steps(total_steps: int) -> None:
    with pytest.raises(ScheduleError, match="OneCycleLR needs at least 4 steps"):
        Schedule("OneCycleLR", 0.5).build(one_group(), total_steps)


@each_row
@pytest.mark.parametrize("optimizer", [one_group, two_groups])
@pytest.mark.parametrize("earlier", ["OneCycleLR", "CyclicLR", "itself"])
def test_nothing_is_left_of_an_earlier_scheduler(
    row: Row, earlier: str, optimizer: Callable[[], Optimizer]
) -> None:
    """OneCycleLR leaves an `initial_lr` of a 25th of the peak; a cosine leaves a rate of 0."""
    used = optimizer()
    if earlier == "itself":
        LiveRun(row, optimizer=used).go()
    else:
        LiveRun(Row(earlier, {}, None), optimizer=used).go()
    rates = LiveRun(row, optimizer=used).go().group_rates
    for again, fresh in zip(
        rates, LiveRun(row, optimizer=optimizer()).go().group_rates, strict=True
    ):
        assert again == pytest.approx(fresh, rel=1e-12)


@pytest.mark.parametrize("family", ["OneCycleLR", "CyclicLR"])
@pytest.mark.parametrize(
    ("optimizer", "momentum"),
    [(one_group, lambda group: group["momentum"]), (adamw, lambda group: group["betas"])],
)
def test_momentum_is_left_alone_unless_asked(
    family: str, optimizer: Callable[[], Optimizer], momentum: Callable[[dict[str, Any]], Any]
) -> None:
    for asked in (False, True):
        run = LiveRun(Row(family, {"cycle_momentum": asked}, None), optimizer=optimizer())
        before = momentum(optimizer().param_groups[0])
        seen = set()
        for step in range(1, STEPS):
            run.go(step)
            seen.add(momentum(run.optimizer.param_groups[0]))
        assert (seen == {before}) is not asked
        if asked:
            assert len(seen) > 10


@pytest.mark.parametrize("family", ["OneCycleLR", "CyclicLR"])
def test_cycling_a_momentum_that_the_optimizer_lacks_is_refused(family: str) -> None:
    with pytest.raises(ScheduleError, match=f"^{family}: .*momentum.*$"):
        Schedule(family, 0.1, {"cycle_momentum": True}).build(Adagrad([tiny_weights()]), STEPS)
    Schedule(family, 0.1).build(Adagrad([tiny_weights()]), STEPS)


def test_a_cosine_does_not_rise_again() -> None:
    rates = Schedule("CosineAnnealingLR", 0.5, {"final_factor": 0.05}).trace(STEPS)
    assert all(a > b for a, b in pairwise(rates))
    optimizer = SGD([tiny_weights()], lr=0.5)
    careless = CosineAnnealingLR(optimizer, STEPS // 2)
    for _ in range(STEPS):
        optimizer.step()
        careless.step()
    assert optimizer.param_groups[0]["lr"] > 0.49


@pytest.mark.parametrize("family", ["StepLR", "WarmupStableDecay", "HoldThenExponential", "SWALR"])
def test_the_rate_never_jumps_up_after_a_warmup(family: str) -> None:
    for row in (row for row in ORACLE if row.family == family):
        rates = trace(row, 0 if family == "WarmupStableDecay" else WARMUP)
        top = rates.index(max(rates))
        assert top == (6 if family == "WarmupStableDecay" else WARMUP)
        assert rates[: top + 1] == sorted(rates[: top + 1])
        assert rates[top:] == sorted(rates[top:], reverse=True)


def test_milestones_that_coincide_at_a_tiny_horizon_both_count() -> None:
    schedule = Schedule("MultiStepLR", 1.0, {"milestones": (0.5, 0.6), "gamma": 0.5}, evals=1)
    assert schedule.trace(4) == [1.0, 1.0, 0.25, 0.25]


@pytest.mark.parametrize("growth", [1, 2])
@pytest.mark.parametrize("cycles", [2, 3, 4])
def test_warm_restarts_come_as_often_as_said_and_not_at_the_end(cycles: int, growth: int) -> None:
    schedule = Schedule("CosineAnnealingWarmRestarts", 1.0, {"cycles": cycles, "T_mult": growth})
    for total_steps in range(40, 200):
        rates = schedule.trace(total_steps)
        assert rates.count(1.0) == cycles
        assert rates[-1] < 0.5


@pytest.mark.parametrize("cycles", range(1, 7))
def test_a_cyclic_run_does_not_begin_another_cycle_at_its_end(cycles: int) -> None:
    schedule = Schedule("CyclicLR", 1.0, {"cycles": cycles, "low_factor": 0.01})
    ends = {total_steps: schedule.trace(total_steps)[-1] for total_steps in range(40, 200)}
    assert {total_steps: end for total_steps, end in ends.items() if end > 0.5} == {}


def test_a_plateau_cuts_tiny_rates_too() -> None:
    schedule = Schedule(
        "ReduceLROnPlateau", 1e-8, {"factor": 0.5, "patience_frac": 0.0, "min_factor": 0.0}
    )
    assert schedule.trace(5, metrics=[1.0] * 5) == [1e-8, 1e-8, 0.5e-8, 0.25e-8, 0.125e-8]


def test_a_plateau_never_cuts_below_its_floor_nor_raises_a_rate_that_is_there() -> None:
    params = {"factor": 0.1, "patience_frac": 0.0, "min_factor": 0.3}
    flat = Schedule("ReduceLROnPlateau", 1.0, params).trace(5, metrics=[1.0] * 5)
    assert flat == [1.0, 1.0, 0.3, 0.3, 0.3]
    steps = {"step_frac": 0.2, "gamma": 0.1} | params
    both = Schedule("ReduceLROnPlateau+StepLR", 1.0, steps).trace(5, metrics=[1.0] * 5)
    assert both == sorted(both, reverse=True)


@pytest.mark.parametrize("mode", ["min", "max"])
def test_a_metric_that_is_not_a_number_counts_as_a_bad_one(mode: str) -> None:
    schedule = Schedule("ReduceLROnPlateau", 1.0, {"mode": mode, "patience_frac": 0.2})
    worse = 2.0 if mode == "min" else 0.5
    bad = schedule.trace(20, metrics=[1.0] + [worse] * 9)
    assert schedule.trace(20, metrics=[1.0] + [math.nan] * 9) == bad
    assert bad[-1] < 0.02


def test_a_loss_of_zero_is_a_metric() -> None:
    schedule = Schedule("ReduceLROnPlateau", 1.0, {"patience_frac": 0.2})
    rates = schedule.trace(20, metrics=[0.0] * 10)
    assert rates == schedule.trace(20, metrics=[1.0] * 10)
    assert rates[-1] < 0.02


def test_a_plateau_may_be_told_its_metric_before_or_after_the_step() -> None:
    row = next(row for row in ORACLE if row.family == "ReduceLROnPlateau+StepLR")
    run, every = LiveRun(row), STEPS // len(row.metrics())
    rates = []
    for step in range(1, STEPS + 1):
        rates.append(run.optimizer.param_groups[0]["lr"])
        train_step(run.optimizer)
        if step % every == 0:
            cast(Any, run.scheduler).step(row.metrics()[step // every - 1])
        run.scheduler.step()
    assert rates == pytest.approx(trace(row))


def test_patience_is_a_fraction_of_the_evaluations() -> None:
    schedule = Schedule("ReduceLROnPlateau", 0.1, {"patience_frac": 0.1, "cooldown_frac": 0.05})
    built = [schedule.build(one_group(), STEPS, evals=evals) for evals in (None, 20, 40, 100)]
    assert [cast(Any, b).patience for b in built] == [2, 2, 4, 10]
    assert [cast(Any, b).cooldown for b in built] == [1, 1, 2, 5]


@pytest.mark.parametrize("evals", [0, -3])
def test_impossible_numbers_of_evaluations_are_refused(evals: int) -> None:
    with pytest.raises(ScheduleError):
        Schedule("ReduceLROnPlateau", 0.1).build(one_group(), STEPS, evals=evals)


@pytest.mark.parametrize("total_steps", [0, -1, 2.0, True, "10"])
def test_a_horizon_that_is_none_is_refused(total_steps: Any) -> None:
    with pytest.raises(ScheduleError, match=r"^total_steps = "):
        Schedule("StepLR", 0.1).build(one_group(), total_steps)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_the_shortest_horizons(family: Family) -> None:
    """A horizon of few steps works, or is refused in words."""
    shortest = {"OneCycleLR": 4, "WarmupStableDecay": 3}.get(family.name, 1)
    schedule = Schedule(family.name, 0.1)
    metrics = [1.0] if family.plateau else None
    for total_steps in range(1, 12):
        if total_steps < shortest:
            with pytest.raises(ScheduleError, match=f"^{family.name}.* needs at least {shortest}"):
                schedule.trace(total_steps)
        else:
            rates = schedule.trace(total_steps, metrics=metrics)
            assert len(rates) == total_steps
            assert all(0 <= rate <= 0.1 + 1e-12 for rate in rates)


@each_row
def test_epochs_are_counted_as_steps_are(row: Row) -> None:
    schedule = schedule_of(row)
    epochs = Schedule(row.family, schedule.peak_lr, row.params, step_unit="epoch", evals=10)
    assert epochs.trace(STEPS, metrics=row.metrics() or None) == trace(row)


def test_trace_wants_the_metrics_that_matter_and_no_others() -> None:
    plateau, plain = Schedule("ReduceLROnPlateau", 0.1), Schedule("StepLR", 0.1)
    calls: list[tuple[Callable[[], object], str]] = [
        (lambda: plateau.trace(100), "needs metrics="),
        (lambda: plateau.trace(100, metrics=[]), "0 evaluations"),
        (lambda: plateau.trace(3, metrics=[1.0] * 4), "4 evaluations do not fit into 3 steps"),
        (lambda: plateau.trace(100, metrics=[1.0] * 4, evals=5), "needs 5 metrics"),
        (lambda: plain.trace(100, metrics=[1.0] * 4), "leave metrics= out"),
    ]
    for call, words in calls:
        with pytest.raises(ScheduleError, match=words):
            call()
    assert (plateau.reacts_to_metric, plain.reacts_to_metric) == (True, False)
    accuracy = Schedule("ReduceLROnPlateau", 0.1, {"mode": "max"})
    assert (plain.monitor, plateau.monitor, accuracy.monitor) == (None, "val_loss", "val_accuracy")
