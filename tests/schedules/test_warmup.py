"""A linear warm-up means one thing in front of every family; torch's own means several."""

from collections.abc import Callable

import pytest
from live_runs import LiveRun, one_group, trace
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import ExponentialLR, LinearLR, ReduceLROnPlateau, SequentialLR
from torch_loops import ORACLE, RATE, STEPS, WARMUP, Row, by_hand, tiny_weights, train_step

from schedsearch.errors import ScheduleError
from schedsearch.schedules.families import FAMILIES
from schedsearch.schedules.schedule import Schedule, Warmup

each_row = pytest.mark.parametrize("row", ORACLE, ids=str)

# What torch's SequentialLR([LinearLR, body], [30]) makes of a body, against the loop by hand.
SAME = "the same"
NEARLY = "the same but for the last bit"
LOW = "starts below its peak, where the ramp ended"
FALLS = "ramps to the peak, then falls to its own first rate"
TORCH_SAYS = {
    "Constant": SAME,
    "StepLR": SAME,
    "MultiStepLR": SAME,
    "ConstantLR": FALLS,
    "LinearLR": SAME,
    "LinearLR-0.8-0.1-0.75": FALLS,
    "ExponentialLR": SAME,
    "PolynomialLR": SAME,
    "CosineAnnealingLR": SAME,
    "CosineAnnealingWarmRestarts": SAME,
    "CyclicLR": FALLS,
    "OneCycleLR": NEARLY,
    "OneCycleLR-linear-0.2-10": SAME,
    "OneCycleLR-True-linear-0.45": SAME,
    "ReduceLROnPlateau": "ValueError",
    "InverseSqrt": SAME,
    "REX": SAME,
    "HoldThenExponential": LOW,
    "WarmupStableDecay": "NotImplementedError",
    "CosineTimesExponential": "NotImplementedError",
    "SWALR": LOW,
    "ReduceLROnPlateau+StepLR": "ValueError",
    "ReduceLROnPlateau+CosineAnnealingLR": "ValueError",
}


@each_row
@pytest.mark.parametrize("start_factor", [0.01, 0.5])
def test_rates_are_those_of_the_loop_by_hand(row: Row, start_factor: float) -> None:
    hand = by_hand(row, WARMUP, start_factor)
    assert trace(row, WARMUP, start_factor) == hand.rates
    assert LiveRun(row, WARMUP, start_factor).go() == hand  # rates, momenta and weights


@each_row
def test_the_rate_rises_to_the_first_of_the_body_which_then_runs_undisturbed(row: Row) -> None:
    rates = trace(row, WARMUP)
    alone = Row(row.family, row.params, row.scheduler)  # no metrics: only the steps' own clock
    body = by_hand(alone).rates if row.scheduler else [RATE] * STEPS
    assert rates[0] == 0.01 * body[0]
    ramp = rates[: WARMUP + 1]
    assert ramp == pytest.approx([body[0] * (0.01 + 0.99 * k / 30) for k in range(31)], rel=1e-12)
    if row.plateau is None:
        assert rates[WARMUP:] == body


@each_row
def test_what_torchs_own_warmup_makes_of_it(row: Row) -> None:
    assert set(TORCH_SAYS) >= {family.name for family in FAMILIES}
    hand = by_hand(row, WARMUP).rates
    assert torchs_own(row, hand) == TORCH_SAYS.get(str(row), TORCH_SAYS[row.family])


def torchs_own(row: Row, hand: list[float]) -> str:
    """Warm the row up with torch's SequentialLR, and say how that compares."""
    optimizer = SGD([tiny_weights()], lr=RATE, momentum=0.9)
    body = row.plateau or row.scheduler
    assert body is not None
    ramp = LinearLR(optimizer, start_factor=0.01, total_iters=WARMUP)
    rates = []
    try:
        scheduler = SequentialLR(optimizer, [ramp, body(optimizer)], [WARMUP])
        for _ in hand:
            rates.append(optimizer.param_groups[0]["lr"])
            train_step(optimizer)
            scheduler.step()
    except (ValueError, NotImplementedError) as error:
        return type(error).__name__
    if rates == hand:
        return SAME
    if rates == pytest.approx(hand, rel=1e-12):
        return NEARLY
    return LOW if rates[WARMUP] < hand[WARMUP] else FALLS


def test_torchs_plateau_would_cut_the_ramp() -> None:
    optimizer = SGD([tiny_weights()], lr=RATE)
    ramp = LinearLR(optimizer, start_factor=0.01, total_iters=WARMUP)
    plateau = ReduceLROnPlateau(optimizer, patience=0)
    for loss in (1.0, 1.0):
        optimizer.step()
        ramp.step()
        before = optimizer.param_groups[0]["lr"]
        plateau.step(loss)
    assert optimizer.param_groups[0]["lr"] == 0.1 * before


def test_torchs_nested_sequence_would_be_one_step_ahead() -> None:
    def sequence(optimizer: Optimizer) -> SequentialLR:
        rise = LinearLR(optimizer, 0.1, total_iters=5)
        return SequentialLR(optimizer, [rise, ExponentialLR(optimizer, 0.9)], [5])

    def nested(optimizer: Optimizer) -> SequentialLR:
        both = [sequence(optimizer), ExponentialLR(optimizer, 0.9)]
        with pytest.warns(UserWarning, match="before `optimizer.step"):
            return SequentialLR(optimizer, both, [99])

    def rates(build: Callable[[Optimizer], SequentialLR]) -> list[float]:
        optimizer = SGD([tiny_weights()], lr=RATE)
        scheduler, seen = build(optimizer), []
        for _ in range(20):
            seen.append(optimizer.param_groups[0]["lr"])
            train_step(optimizer)
            scheduler.step()
        return seen

    assert rates(nested)[4:19] == rates(sequence)[5:]  # the second part starts one step early


@pytest.mark.parametrize(
    ("total_steps", "frac"), [(9, 0.05), (1, 0.5), (1, 0.9), (2, 0.9), (10, 0.96)]
)
def test_a_horizon_too_short_for_the_warmup_is_refused(total_steps: int, frac: float) -> None:
    schedule = Schedule("StepLR", 0.1, warmup=Warmup(frac), evals=1)
    with pytest.raises(ScheduleError, match=f"^a horizon of {total_steps} steps is too short"):
        schedule.build(one_group(), total_steps)


@pytest.mark.parametrize(("total_steps", "frac"), [(10, 0.05001), (2, 0.5), (10, 0.9), (3, 0.8)])
def test_the_shortest_horizons_that_have_one(total_steps: int, frac: float) -> None:
    schedule = Schedule("ExponentialLR", 0.1, warmup=Warmup(frac, 0.5), evals=1)
    rates = schedule.trace(total_steps)
    warm = max(1, round(frac * total_steps))
    assert len(rates) == total_steps
    assert rates[0] == 0.05
    assert rates[warm] == 0.1
