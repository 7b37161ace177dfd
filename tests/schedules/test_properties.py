"""What holds for every schedule that can be sampled, at every horizon."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from live_runs import space

from schedsearch.errors import ScheduleError
from schedsearch.horizon import evaluation_steps, warmup_steps, whole_steps
from schedsearch.schedules.schedule import Schedule
from schedsearch.schedules.space import suggest_schedule

repeatable = settings(derandomize=True, deadline=None, database=None)

EVERYTHING = space("all", evals=10)
horizons = st.integers(40, 400)


class Drawn:
    """A trial whose values hypothesis draws, ends of ranges included."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return self.draw(st.floats(low, high), label=name)

    def suggest_int(self, name: str, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    return suggest_schedule(Drawn(draw), EVERYTHING)


def metrics_for(schedule: Schedule, drawn: list[float]) -> list[float] | None:
    return drawn if schedule.reacts_to_metric else None


ten_metrics = st.lists(st.floats(), min_size=10, max_size=10)


@settings(repeatable, max_examples=300)
@given(schedules(), horizons, ten_metrics)
def test_rates_are_finite_never_negative_never_above_the_peak(
    schedule: Schedule, total_steps: int, drawn: list[float]
) -> None:
    rates = schedule.trace(total_steps, metrics=metrics_for(schedule, drawn))
    assert len(rates) == total_steps
    assert all(math.isfinite(rate) for rate in rates)
    assert all(0 <= rate <= schedule.peak_lr * (1 + 1e-12) for rate in rates)


@settings(repeatable, max_examples=150)
@given(schedules(), horizons, horizons, ten_metrics)
def test_squeezing_keeps_the_first_rate(
    schedule: Schedule, one: int, other: int, drawn: list[float]
) -> None:
    metrics = metrics_for(schedule, drawn)
    assert schedule.trace(one, metrics=metrics)[0] == schedule.trace(other, metrics=metrics)[0]


@repeatable
@given(schedules())
def test_json_is_exact(schedule: Schedule) -> None:
    twin = Schedule.from_json(schedule.to_json())
    assert twin == schedule
    assert hash(twin) == hash(schedule)


@repeatable
@given(st.integers(1, 500), st.integers(1, 500))
def test_evaluations_are_spread_evenly_and_end_with_the_run(total_steps: int, evals: int) -> None:
    if evals > total_steps:
        with pytest.raises(ScheduleError, match=f"^{evals} evaluations do not fit into"):
            evaluation_steps(total_steps, evals)
        return
    steps = evaluation_steps(total_steps, evals)
    gaps = [b - a for a, b in zip((0, *steps), steps, strict=False)]
    assert len(steps) == evals
    assert steps[-1] == total_steps
    assert min(gaps) >= 1
    assert max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize(("total_steps", "evals"), [(10, 0), (10, -1), (0, 1), (0, 0), (4, 5)])
def test_evaluations_that_do_not_fit(total_steps: int, evals: int) -> None:
    with pytest.raises(ScheduleError, match="at least one step for each"):
        evaluation_steps(total_steps, evals)


@repeatable
@given(st.floats(0, 1), st.integers(1, 10_000))
def test_lengths_are_the_nearest_whole_steps(frac: float, total_steps: int) -> None:
    steps = whole_steps(frac, total_steps)
    assert steps >= 1
    assert abs(steps - frac * total_steps) <= 0.5 or steps == 1
    try:
        warm = warmup_steps(frac, total_steps)
    except ScheduleError:
        assert round(frac * total_steps) in (0, total_steps)
    else:
        assert warm == (steps if frac else 0)
        assert warm < total_steps
