"""What was confirmed is drawn over all its seeds: numbers of the median and of the band."""

import math

import pandas as pd
import pytest
from made_runs import confirming, made_run, made_trial
from optuna.trial import FrozenTrial

from schedsearch import Schedule
from schedsearch.report.figures import convergence, rates
from schedsearch.report.snapshot import Snapshot


@pytest.fixture
def confirmed() -> Snapshot:
    """Return a run in which the second-best StepLR did best on fresh seeds, beside a baseline."""
    trials = [
        made_trial(0, "StepLR", loss=0.2, peak_lr=0.1),
        made_trial(1, "StepLR", loss=0.3, peak_lr=0.05),
        made_trial(2, "LinearLR", loss=0.4),
        made_trial(3, "ExponentialLR", loss=0.5),
    ]
    losses = {
        0: [0.3, 0.5, 0.4, 0.6],
        1: [0.1, 0.4, 0.2, 0.3],
        2: [0.5, math.inf, 0.6, 0.7],
        3: [0.8, 0.9, 1.0, 1.1],
    }
    finalists: list[FrozenTrial | Schedule] = [*trials[:3], Schedule("Constant", 0.07)]
    return made_run(trials, "made", confirming(finalists, losses, seeds=(5, 6, 7, 8)))


def test_what_was_confirmed_converges_on_all_fresh_seeds(confirmed: Snapshot) -> None:
    both = convergence.table(confirmed)
    accuracy = both[both["name"] == "val_accuracy"].groupby("family").last()
    table = both[both["name"] == "val_loss"]
    last = table.groupby("family", sort=False).last()
    assert list(last.index) == ["StepLR", "LinearLR", "ExponentialLR", "Constant"]
    assert list(last["seeds"]) == [4, 4, 1, 4]
    assert last["trial"].fillna(-1).to_dict() == {
        **{"StepLR": 1, "LinearLR": 2, "ExponentialLR": 3, "Constant": -1}
    }
    assert last["value"]["StepLR"] == pytest.approx(0.25), "the median of its seeds"
    assert last["low"]["StepLR"] == 0.1
    assert last["high"]["StepLR"] == 0.4
    assert accuracy["low"]["StepLR"] == pytest.approx(0.9)
    assert last["value"]["ExponentialLR"] == 0.5
    assert pd.isna(last["low"]["ExponentialLR"]), "one run has no range"
    assert last["diverged"].to_dict() == {
        **{"StepLR": 0, "LinearLR": 1, "ExponentialLR": 0, "Constant": 0}
    }
    assert last["value"]["LinearLR"] == pytest.approx(0.65), "the diverged run counts as worst"
    assert last["high"]["LinearLR"] == 0.7, "and is in no range"
    linear = table[table["family"] == "LinearLR"].set_index("step")
    assert list(linear["diverged"].diff().pipe(lambda d: d[d > 0].index)) == [300]


def test_a_line_that_stands_on_seeds_has_its_band(confirmed: Snapshot) -> None:
    chart = convergence.draw(convergence.table(confirmed))
    assert "4 fresh seeds" in chart.note
    for panel in chart.panels:
        bands = {s.family: s for s in panel.series if s.kind == "band"}
        lines = {s.family: s for s in panel.series if s.kind == "line"}
        assert set(bands) == {"StepLR", "LinearLR", "Constant"}
        assert set(lines) == {*bands, "ExponentialLR"}
        for family, band in bands.items():
            assert band.x == lines[family].x
            between = zip(band.low, lines[family].y, band.high, strict=True)
            assert all(min(a, b) <= y <= max(a, b) for a, y, b in between) or family == "LinearLR"
    hover = lines["StepLR"].hover[-1]
    assert hover.startswith(
        "step 600: 93.75% (90.00% to 97.50%)\nmedian and range of 4 fresh seeds"
    )
    assert "trial 1\nStepLR peak_lr=0.05" in hover
    assert ", 1 diverged\n" in lines["LinearLR"].hover[-1]
    assert not convergence.draw(convergence.table(made_run([made_trial(0, "SWALR")]))).note


def test_rates_are_those_of_what_was_confirmed(confirmed: Snapshot) -> None:
    table = rates.table(confirmed)
    assert list(dict.fromkeys(table["family"])) == [
        "StepLR",
        "LinearLR",
        "ExponentialLR",
        "Constant",
    ]
    first = table.groupby("family")["lr"].first()
    assert first["StepLR"] == 0.05, "trial 0 was the best of the search alone"
    assert first["Constant"] == 0.07
