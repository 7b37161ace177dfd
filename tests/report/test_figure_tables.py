"""Figures: their tables' numbers, on runs that were made by hand; and what is drawn of them."""

import math
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from made_runs import NAMES, made_run, made_trial, many

from schedsearch import Schedule
from schedsearch.errors import SchedsearchError
from schedsearch.report.figures import (
    FIGURES,
    budget,
    compute,
    convergence,
    families,
    fidelity,
    find_figure,
    importance,
    peak_lr,
    rates,
    target,
    winner,
)
from schedsearch.report.figures.colours import look_of
from schedsearch.report.snapshot import Snapshot
from schedsearch.schedules.families import DEFAULT_FAMILIES

each_figure = pytest.mark.parametrize("figure", FIGURES, ids=lambda f: f.name)


@pytest.fixture
def small() -> Snapshot:
    return made_run(
        [
            made_trial(0, "StepLR", loss=0.4, peak_lr=0.1),
            made_trial(1, "Constant", loss=0.5, peak_lr=0.2),
            made_trial(2, "StepLR", loss=0.2, peak_lr=0.05),
            made_trial(3, "Constant", state="diverged", steps=300),
            made_trial(4, "LinearLR", loss=0.1, state="pruned", steps=150),
            made_trial(5, "Constant", loss=0.3, peak_lr=0.02, rungs=[(200, 0.6), (600, 0.3)]),
        ]
    )


def test_convergence_is_that_of_the_best_finished_trial_of_each_family(small: Snapshot) -> None:
    table = convergence.table(small)
    assert list(dict.fromkeys(table["family"])) == ["StepLR", "Constant"], "best first"
    assert table.groupby("family")["trial"].unique().map(list).to_dict() == {
        "StepLR": [2],
        "Constant": [5],
    }
    assert list(dict.fromkeys(table["name"])) == ["val_loss", "val_accuracy"]
    step = table[table["family"] == "StepLR"].set_index("name")
    assert list(step["step"]["val_loss"]) == list(range(30, 601, 30))
    assert step["value"]["val_loss"].iloc[-1] == 0.2
    assert step["value"]["val_accuracy"].iloc[-1] == 0.95


def test_rates_are_those_of_the_real_scheduler(small: Snapshot) -> None:
    table = rates.table(small)
    step = table[table["family"] == "StepLR"].set_index("step")["lr"]
    trace = Schedule("StepLR", 0.05).trace(600)
    assert all(trace[i - 1] == lr for i, lr in step.items())  # type: ignore[operator]
    assert {1, 200, 201, 400, 401, 600} <= set(step.index), "both sides of each cut"


def test_the_winner_has_its_rates_and_its_losses(small: Snapshot) -> None:
    table = winner.table(small)
    assert set(table["family"]) == {"StepLR"}
    last = table.groupby("what")["value"].last()
    assert last["val_loss"] == 0.2
    assert last["train_loss"] == pytest.approx(0.16)
    assert last["lr"] == Schedule("StepLR", 0.05).trace(600)[-1]


def test_every_trial_that_is_over_has_its_final_loss(small: Snapshot) -> None:
    table = families.table(small)
    assert list(dict.fromkeys(table["family"])) == ["StepLR", "Constant", "LinearLR"]
    assert table.set_index("trial")["val_loss"].dropna().to_dict() == {
        **{0: 0.4, 1: 0.5, 2: 0.2, 4: 0.1, 5: 0.3}
    }
    assert table.set_index("trial")["state"][3] == "diverged"
    (panel,) = families.draw(table).panels
    (cross,) = (s for s in panel.series if s.mark == "diverged")
    assert cross.x[0] > 0.5, "beyond all that finished"
    assert [guide.text for guide in panel.guides] == ["diverged"]
    assert {s.mark for s in panel.series if s.family == "LinearLR"} == {"pruned"}


def test_steps_to_target_are_of_those_that_got_there(small: Snapshot) -> None:
    table = target.table(small)
    assert 3 not in set(table["trial"]) or table.set_index("trial")["state"][3] == "diverged"
    expected = small.trials.set_index("trial")["steps_to_target"].dropna()
    assert table.set_index("trial")["steps_to_target"].sort_index().to_dict() == expected.to_dict()
    assert set(table["target"]) == {0.8}
    assert target.draw(table).title == "Steps to a validation accuracy of 80%"


def test_compute_adds_up_and_the_best_only_falls(small: Snapshot) -> None:
    table = compute.table(small)
    assert list(table["steps_so_far"]) == [600, 1200, 1800, 2100, 2250, 2850]
    assert list(table["seconds_so_far"]) == pytest.approx([0.6, 1.2, 1.8, 2.1, 2.25, 2.85])
    assert list(table["best_of_all"]) == [0.4, 0.4, 0.2, 0.2, 0.2, 0.2]
    constant = table[table["family"] == "Constant"]["best_of_family"]
    assert list(constant.dropna()) == [0.5, 0.3]


def test_compute_of_an_accuracy_rises() -> None:
    trials = [made_trial(i, "StepLR", loss=loss) for i, loss in enumerate((0.8, 0.4, 0.6))]
    table = compute.table(made_run(trials, search={"objective": "val_accuracy"}))
    assert list(table["best_of_all"]) == pytest.approx([0.8, 0.9, 0.9])


def test_base_rates_stand_in_their_range(small: Snapshot) -> None:
    table = peak_lr.table(small)
    assert set(table["low"]) == {0.003}
    assert set(table["high"]) == {0.3}
    (panel,) = peak_lr.draw(table).panels
    assert [guide.x for guide in panel.guides] == [0.003, 0.3]
    assert panel.x.log


def test_budget_sums_up_all_that_was_trained(small: Snapshot) -> None:
    table = budget.table(small).set_index("family")
    assert table["steps"].to_dict() == {"StepLR": 1200, "Constant": 1500, "LinearLR": 150}
    assert table["seconds"].sum() == pytest.approx(2.85)
    counts = table[["trials", "finished", "diverged", "pruned"]]
    assert list(counts.loc["Constant"]) == [3, 2, 1, 0]


def test_fidelity_pairs_short_and_full(small: Snapshot) -> None:
    table = fidelity.table(small)
    assert table[["trial", "horizon", "short", "final"]].values.tolist() == [[5, 200, 0.6, 0.3]]


def test_importance_finds_what_the_loss_was_made_of() -> None:
    """The loss falls with the peak rate alone; the family says nothing."""
    table = importance.table(made_run(many(240)))
    every = table[table["among"] == importance.ALL].set_index("param")
    assert every["importance"]["peak_lr"] > 0.8
    assert every["importance"]["family"] < 0.05
    assert set(every["trials"]) == {200}, "those that finished"


def test_importance_of_a_family_where_only_the_family_counts() -> None:
    rng = np.random.default_rng(0)
    trials = [
        made_trial(
            i,
            ("StepLR", "Constant")[i // 2 % 2],
            peak_lr=float(0.003 * 100 ** rng.random()),
            loss=0.2 + 0.3 * (i // 2 % 2),
            families=("StepLR", "Constant"),
        )
        for i in range(60)
    ]
    table = importance.table(made_run(trials))
    shares = table[table["among"] == importance.ALL].set_index("param")["importance"]
    assert shares["family"] > 0.9
    assert shares["peak_lr"] < 0.05


def test_importance_within_a_family_leaves_the_family_out() -> None:
    table = importance.table(made_run(many(1000)))
    groups = list(dict.fromkeys(table["among"]))
    assert groups[0] == importance.ALL
    assert len(groups) == 1 + importance.MOST_FAMILIES
    for family in groups[1:]:
        shares = table[table["among"] == family].set_index("param")["importance"]
        assert set(shares.index) == {"peak_lr", "warmup"}
        assert shares["peak_lr"] > 0.8


def test_importance_of_too_few_trials_is_left_out(small: Snapshot) -> None:
    assert importance.table(small).empty


@each_figure
@pytest.mark.parametrize("trials", ["none", "diverged", "one", "many"])
def test_odd_runs_are_drawn_or_left_out(figure: object, trials: str) -> None:
    made = {
        "none": [],
        "diverged": [made_trial(i, "StepLR", state="diverged") for i in range(3)],
        "one": [made_trial(0, "Constant")],
        "many": many(60),
    }[trials]
    table = figure.table(made_run(made))  # type: ignore[attr-defined]
    assert isinstance(table, pd.DataFrame)
    if trials == "none":
        assert table.empty
    if table.empty:
        return
    chart = figure.draw(table)  # type: ignore[attr-defined]
    for panel in chart.panels:
        assert panel.series
        assert panel.x.label
        for series in panel.series:
            assert len(series.x) == len(series.y) > 0
            assert all(map(math.isfinite, (*series.x, *series.y))), series.name
            assert isinstance(series.hover, str) or len(series.hover) == len(series.x)


def test_hover_says_the_schedule(small: Snapshot) -> None:
    (panel,) = families.draw(families.table(small)).panels
    texts = [text for s in panel.series for text in s.hover]
    assert (
        "trial 2\nStepLR peak_lr=0.05 step_frac=0.333\ngamma=0.1\nloss 0.2, accuracy 95.00%"
        in texts
    )
    assert any("diverged after 300 steps" in text for text in texts)


def test_names_of_figures_are_unique_and_an_unknown_one_is_told() -> None:
    names = [figure.name for figure in FIGURES]
    assert len(set(names)) == len(names)
    with pytest.raises(SchedsearchError, match="did you mean 'rates'"):
        find_figure("rate")


def seen(colour: str, matrix: np.ndarray) -> np.ndarray:
    """Return a colour in CIE Lab, as eyes that lack a receptor see it (Machado et al. 2009)."""
    rgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(matrix @ linear, 0, 1)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    x, y, z = np.cbrt(to_xyz @ linear / [0.9505, 1.0, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


EYES = {
    "all": np.eye(3),
    "no red": np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]),
    "no green": np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]),
    "no blue": np.array([[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]]),
}


@pytest.mark.parametrize("eyes", EYES)
def test_families_that_look_alike_in_dash_differ_in_colour_to_all_eyes(eyes: str) -> None:
    for one, other in combinations(NAMES, 2):
        a, b = look_of(one), look_of(other)
        if (a.dash, a.marker) == (b.dash, b.marker):
            distance = np.linalg.norm(seen(a.colour, EYES[eyes]) - seen(b.colour, EYES[eyes]))
            assert distance > 20, f"{one} and {other}: {distance:.1f}"


def test_each_family_has_a_look_of_its_own() -> None:
    looks = [look_of(family) for family in NAMES]
    assert len(set(looks)) == len(looks)
    assert look_of("mine:MINE") == look_of("mine:MINE")
    assert {look_of(f).dash for f in DEFAULT_FAMILIES} <= {"solid", "dash"}
