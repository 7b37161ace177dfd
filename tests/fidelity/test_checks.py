"""The check of the rungs: random schedules at every rung, beside the search, and what they say."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import FrozenTrial, TrialState, create_trial
from plans import plain_curves, plan_of
from scipy import stats

from schedsearch import Run, open_run
from schedsearch.fidelity.agreement import FIDELITY_COLUMNS, Agreement, agreements
from schedsearch.fidelity.read import fidelity_of
from schedsearch.launch import Outcome
from schedsearch.objective import find_objective
from schedsearch.report.leaderboard import leaderboard_of
from schedsearch.search.events import AtRung, Event, Started
from schedsearch.statistics.intervals import Estimate
from schedsearch.statistics.ranks import rank_correlation
from schedsearch.store.delete import delete_run
from schedsearch.store.place import study_ids
from schedsearch.store.records import read_schedule

Launch = Callable[..., Outcome]

HORIZONS = (20, 60, 180)
CHECKED: dict[str, Any] = {
    "trials": 9,
    "training": {"total_steps": 180, "evals_per_run": 5, "engine": "reference"},
    "space": {"warmup_frac": [0.05, 0.1], "peak_lr": [0.01, 0.3]},
    "fidelity": {"kind": "squeeze", "eta": 3, "min_steps": 5, "checks": 7},
}


def checked(**fidelity: Any) -> dict[str, Any]:
    return CHECKED | {"fidelity": CHECKED["fidelity"] | fidelity}


@pytest.fixture(scope="module")
def run(
    make_config: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Run, list[Event]]:
    """Return a run whose rungs were checked by 7 schedules, and what it told."""
    from schedsearch import run_study

    events: list[Event] = []
    config = make_config(name="checked", **CHECKED)
    folder = tmp_path_factory.mktemp("runs")
    outcome = run_study(config, runs_dir=folder, device="cpu", on_event=events.append)
    return outcome.run, events


def stored(run: Run) -> list[FrozenTrial]:
    name = f"{run.name}/fidelity"
    return optuna.load_study(study_name=name, storage=run.storage).trials


def test_checks_are_trained_at_every_rung_beside_the_search(run: tuple[Run, list[Event]]) -> None:
    it, events = run
    trials = stored(it)
    assert [t.state for t in trials] == [TrialState.COMPLETE] * 7
    assert all(tuple(t.intermediate_values) == HORIZONS for t in trials)
    assert [e.run for e in events if isinstance(e, Started)] == ["checked/fidelity", "checked"]
    rungs = [(e.schedules, e.horizon) for e in events if isinstance(e, AtRung)]
    assert rungs == [(7, 20), (7, 60), (7, 180), (9, 20), (3, 60), (1, 180)]
    checks = it.checks()
    assert list(checks["spent_steps"]) == [sum(HORIZONS)] * 7
    assert set(checks["schedule"]).isdisjoint(it.trials()["schedule"])
    for frame in (it.trials(), it.curves(), it.rungs()):
        assert set(frame["study"]) == {"checked"}, "they are no trials of the search"
    assert leaderboard_of(it)["finished"].sum() == 1
    assert it.best.trial in set(it.trials()["trial"])


def test_a_check_is_the_same_training_as_a_trial(run: tuple[Run, list[Event]]) -> None:
    it, _ = run
    plan, trial = plan_of(it.config), stored(it)[0]
    schedule = read_schedule(trial)
    assert schedule is not None
    for horizon in HORIZONS:
        (curve,) = plain_curves(plan, [schedule], horizon, [plan.training_seed])
        assert trial.intermediate_values[horizon] == curve.final.val_loss


def test_the_table_stands_on_checks_and_promoted_trials(run: tuple[Run, list[Event]]) -> None:
    it, _ = run
    table = fidelity_of(it)
    assert {name: str(dtype) for name, dtype in table.dtypes.items()} == FIDELITY_COLUMNS
    assert list(table["horizon"]) == [20, 60]
    assert list(table["schedules"]) == [8, 8], "seven checks and one that reached the full horizon"
    values = [t.intermediate_values for t in stored(it)]
    rungs = it.rungs()
    (best,) = rungs["trial"][rungs["horizon"] == 180]
    values.append(rungs[rungs["trial"] == best].set_index("horizon")["val_loss"].to_dict())
    for horizon, found in zip(table["horizon"], table["correlation"], strict=True):
        pairs = [(v[horizon], v[180]) for v in values]
        expected = stats.spearmanr(*zip(*pairs, strict=True)).statistic
        assert found == pytest.approx(expected)
    attrs = it.storage.get_study_system_attrs(it.storage.get_study_id_from_name("checked/fidelity"))
    kept = pd.DataFrame(attrs["schedsearch:agreements"]).astype(FIDELITY_COLUMNS)
    pd.testing.assert_frame_equal(kept, table)


def test_the_same_call_trains_no_check_again_and_more_checks_are_added(
    launch: Launch, runs_dir: Path
) -> None:
    first = stored(launch(**checked(checks=2)).run)
    again = launch(**checked(checks=2)).run
    assert stored(again) == first
    more = stored(launch(**checked(checks=3)).run)
    assert more[:2] == first
    assert len(more) == 3
    assert len(stored(launch(**checked(checks=0)).run)) == 3, "what is there is kept"
    it = open_run(runs_dir / "tiny")
    delete_run(it)
    assert not (runs_dir / "tiny").exists()


def test_without_rungs_or_without_checks_there_is_no_study_of_them(launch: Launch) -> None:
    for name, fidelity in (("full", {"kind": "full"}), ("none", {"checks": 0})):
        it = launch(name=name, **checked(**fidelity)).run
        assert sorted(study_ids(it.storage, name)) == [name, f"{name}/test"]
        assert len(it.checks()) == 0
    assert len(fidelity_of(it)) == 2, "from promoted trials alone"
    assert list(fidelity_of(it)["schedules"]) == [1, 1]


def test_checks_change_nothing_of_what_is_sampled(launch: Launch) -> None:
    columns = ["trial", "schedule", "state", "val_loss", "spent_steps"]
    with_them = launch(name="with", **checked(checks=2)).run.trials()[columns]
    without = launch(name="without", **checked(checks=0)).run.trials()[columns]
    pd.testing.assert_frame_equal(with_them, without, check_exact=True)


def test_the_command_prints_the_table_the_warnings_and_the_cost(
    cli: Callable[..., tuple[int, str, str]], study_file: Callable[..., Path], runs_dir: Path
) -> None:
    file = study_file(name="shown", **checked(checks=2))
    code, plan, err = cli("run", file, "--runs-dir", runs_dir, "--dry-run")
    assert (code, err) == (0, "")
    assert (
        "squeeze: rungs at 20, 60, 180 steps, the best 1/3 are promoted; 2 random schedules" in plan
    )
    code, out, err = cli("run", file, "--runs-dir", runs_dir)
    assert (code, err) == (0, "")
    assert "rung 1/3: 9 schedules at 20 steps" in out
    assert "What a rung says of the full horizon" in out
    assert out.count("Beware: the rung of") == 2
    assert "too few: 3 schedules" in out
    assert "The search took 540 gradient steps, 33 % of training all 9 trials in full" in out
    assert "The 2 random schedules that check the rungs took 520 steps more" in out


def trial(*values: float, diverged_at: int | None = None) -> FrozenTrial:
    """Make a trial that came through rungs with these losses, and diverged at one, perhaps."""
    rungs = [
        {"horizon": h, "val_loss": loss, "val_accuracy": 1 - loss}
        for h, loss in zip(HORIZONS, values, strict=False)
    ]
    horizon = diverged_at or HORIZONS[len(values) - 1]
    result = {"rungs": rungs, "horizon": horizon, "diverged": diverged_at is not None}
    return create_trial(value=0.0, system_attrs={"schedsearch:result": result})


def test_how_diverged_and_unpromoted_trials_count() -> None:
    checks = [trial(i / 10, i / 10, i / 10) for i in range(1, 8)]
    checks += [trial(0.9, 0.9, diverged_at=180), trial(0.05, diverged_at=60), trial(diverged_at=20)]
    promoted = [trial(0.01, 0.01, 0.01), trial(0.02, 0.02), trial(0.03)]
    for objective in ("val_loss", "val_accuracy"):
        found = agreements(checks, promoted, HORIZONS, find_objective(objective))
        assert [(a.horizon, a.every.count, a.diverged) for a in found] == [(20, 9, 2), (60, 9, 2)]
        assert [a.every.value for a in found] == pytest.approx([1.0, 1.0])
        assert [a.better.count for a in found] == [5, 5]
    flipped = [*checks[:7], trial(0.001, 0.001, diverged_at=180)]  # a rung that did not see it
    (first, _) = agreements(flipped, [], HORIZONS, find_objective("val_loss"))
    assert first.every.value < 0.5


def test_the_better_half_is_that_of_the_full_horizon() -> None:
    """A rung that only tells bad schedules from good ones."""
    good = [trial(0.1 + ((5 * i) % 12) / 1000, 0.1, 0.1 + i / 1000) for i in range(12)]
    bad = [trial(0.5 + i / 1000, 0.5, 0.5 + i / 1000) for i in range(12)]
    first, second = agreements(good + bad, [], HORIZONS, find_objective("val_loss"))
    assert first.every.value > 0.7
    assert first.every.low > 0
    assert abs(first.better.value) < 0.5
    assert first.warning is not None
    assert "not shown to rank the better half" in first.warning
    assert second.better.value == 0.0, "no order at all"


def test_the_better_half_is_not_that_of_the_rung() -> None:
    """What ends best looks worst at the rung, and is ranked there the wrong way round."""
    checks = [trial(9 - i, 0, i) if i < 6 else trial(-20 + i, 0, i) for i in range(12)]
    first, _ = agreements(checks, [], HORIZONS, find_objective("val_loss"))
    assert first.better.count == 6
    assert first.better.value == pytest.approx(-1.0)


def test_a_rung_that_ranks_well_is_not_warned_about() -> None:
    well = agreements([trial(i, i, i) for i in range(20)], [], HORIZONS, find_objective("val_loss"))
    assert [a.warning for a in well] == [None, None]
    nothing = Estimate(0.1, -0.3, 0.5, 9)
    shown = Estimate(0.8, 0.4, 0.9, 9)
    text = Agreement(20, nothing, shown, 0).warning
    assert text is not None
    assert "ranks the better half" in text
    text = Agreement(20, nothing, nothing, 0).warning
    assert text is not None
    assert "not shown to rank schedules" in text
    assert "0.10, -0.30 to 0.50, 9 schedules" in text
    assert "\n" not in text
    assert Agreement(20, Estimate(math.nan, math.nan, math.nan, 0), nothing, 0).warning


NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=5))
def test_spearman_is_scipys(pairs: Sequence[tuple[float, float]]) -> None:
    one, other = zip(*pairs, strict=True)
    found = rank_correlation(one, other)
    assert found.count == len(pairs)
    assert math.isnan(found.low), "too few for an interval"
    if len(set(one)) == 1 or len(set(other)) == 1:
        assert found.value == 0.0
    else:
        assert found.value == pytest.approx(stats.spearmanr(one, other).statistic)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Pairs of a normal distribution with a known rank correlation, 20 at a time."""
    draw = np.random.default_rng(0)
    rho = 0.7
    truth, hits = 6 / math.pi * math.asin(rho / 2), 0
    for _ in range(60):
        one, other = draw.multivariate_normal([0, 0], [[1, rho], [rho, 1]], 20).T
        found = rank_correlation(one, other)
        assert found.low <= found.value <= found.high
        hits += found.low <= truth <= found.high
    assert 50 <= hits <= 60
