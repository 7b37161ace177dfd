"""Convergence compared: each number against the curves that are stored, and what is refused."""

from collections.abc import Callable
from math import inf, nan
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from schedsearch import Run, StudyConfig, open_run, run_study
from schedsearch.cli.convergence import _within
from schedsearch.confirmation.read import confirmation_frame, confirming_trials, last_confirmation
from schedsearch.errors import RunError
from schedsearch.launch import Outcome
from schedsearch.objective import ACCURACY
from schedsearch.report.best_so_far import BEST_COLUMNS
from schedsearch.report.convergence import (
    AREA,
    LOSS_COLUMNS,
    TARGET_COLUMNS,
    convergence_of,
)
from schedsearch.report.leaderboard import leaderboard_of
from schedsearch.report.performance_profile import profile_of
from schedsearch.statistics.intervals import mean_interval
from schedsearch.store.records import PREFIX, read_columns, read_result

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def confirmed(
    make_config: Callable[..., StudyConfig], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return the folder of a confirmed run whose rates are good enough to reach the target."""
    config = make_config(
        name="sure",
        trials=4,
        training={"total_steps": 120},
        space={"peak_lr": [0.1, 0.3]},
        confirmation={"finalists": 2, "seeds": 4},
    )
    runs = tmp_path_factory.mktemp("confirmed")
    return run_study(config, runs_dir=runs, device="cpu").best_path.parent


def dtypes(frame: pd.DataFrame) -> dict[str, str]:
    return {str(name): str(dtype) for name, dtype in frame.dtypes.items()}


def test_a_confirmed_run_is_shown_by_its_finalists_with_intervals(confirmed: Path) -> None:
    run = open_run(confirmed)
    found, frame = convergence_of([run]), confirmation_frame(run)
    assert list(found.targets["schedule"]) == list(frame["schedule"])
    assert set(found.targets["trainings"]) == set(found.losses["trainings"]) == {4}
    assert found.stands_on == (
        "sure: 4 finished, 0 diverged, 0 pruned trials; "
        f"{len(frame)} finalists on 4 fresh seeds each",
    )
    ends = found.losses[found.losses["measure"] == "100%"].reset_index(drop=True)
    for mine, theirs in (("value", "val_loss"), ("low", "low"), ("high", "high")):
        assert list(ends[mine]) == pytest.approx(list(frame[theirs]))
    assert dtypes(found.targets) == TARGET_COLUMNS
    assert dtypes(found.losses) == LOSS_COLUMNS
    assert dtypes(found.best) == BEST_COLUMNS


def test_each_number_is_that_of_the_curves(confirmed: Path) -> None:
    run = open_run(confirmed)
    found = convergence_of([run])
    for each in last_confirmation(run).finalists:  # type: ignore[union-attr]
        trials = [
            t
            for t in confirming_trials(run)
            if t.system_attrs[f"{PREFIX}schedule"] == each.finalist.schedule.to_dict()
            and t.system_attrs[f"{PREFIX}seed"] in last_confirmation(run).basis.seeds  # type: ignore[union-attr]
        ]
        assert len(trials) == 4
        curves = [read_columns(t) for t in trials]
        starts = [read_result(t)["initial_loss"] for t in trials]
        rows = found.losses[found.losses["schedule"] == each.label].set_index("measure")
        for place, measure in ((0, "25%"), (1, "50%"), (2, "75%"), (4, "100%")):
            expected = mean_interval([c["val_loss"][place] for c in curves])
            assert rows["value"][measure] == pytest.approx(expected.value), measure
            assert rows["high"][measure] == pytest.approx(expected.high)
        areas = [
            np.trapezoid([start, *c["val_loss"]], [0, *c["step"]]) / 120
            for start, c in zip(starts, curves, strict=True)
        ]
        assert rows["value"][AREA] == pytest.approx(np.mean(areas))
        hits = sorted(s for t in trials if (s := read_result(t)["steps_to_target"]) is not None)
        row = found.targets[found.targets["schedule"] == each.label].iloc[0]
        assert (row["reached"], row["missed"]) == (len(hits), 4 - len(hits))
        assert row["steps"] == (hits[1] if len(hits) > 1 else inf), "half of four"
    assert found.targets["reached"].sum() > 0, "choose other rates for this test"


def test_an_unconfirmed_run_is_shown_by_single_runs_that_say_so(finished: Path) -> None:
    run = open_run(finished)
    found, board = convergence_of([run]), leaderboard_of(run)
    assert list(found.targets["family"]) == list(board["family"])
    assert set(found.targets["trainings"]) == {1}
    assert found.losses[["low", "high"]].isna().all().all()
    ends = found.losses[found.losses["measure"] == "100%"]
    assert list(ends["value"]) == list(board["val_loss"])
    assert "no intervals" in found.stands_on[0]
    assert "single trainings" in found.stands_on[0]


def test_the_best_so_far_is_that_of_the_trials_in_their_order(finished: Path) -> None:
    run = open_run(finished)
    trials, best = run.trials().sort_values(["ended", "trial"]), convergence_of([run]).best
    for clock in ("steps", "seconds"):
        rows = best[best["unit"] == clock]
        last = rows.iloc[-1]
        assert last["ended"] == 8
        assert last["best"] == trials["val_loss"].min()
        assert last["steps"] == 8 * 60
        assert last["seconds"] == pytest.approx(trials["seconds"].sum())
        assert rows["best"].dropna().is_monotonic_decreasing
        for row in rows.itertuples():
            seen = trials["val_loss"][: int(row.ended)]  # type: ignore[arg-type]
            assert row.best == seen.min() or not len(seen)
    half = best[(best["unit"] == "steps") & (best["fraction"] == 0.5)].iloc[0]
    assert (half["steps"], half["ended"]) == (240, 4)


def test_what_diverged_is_counted_and_costs_what_it_was_trained(
    launch: Callable[..., Outcome],
) -> None:
    space = {"peak_lr": [0.05, 60.0], "warmup": "none"}
    run = launch(trials=8, families=["Constant"], space=space).run
    states = run.trials()["state"].value_counts()
    assert states.get("diverged", 0) > 0, "choose other rates for this test"
    assert states.get("finished", 0) > 0
    found = convergence_of([run])
    last = found.best.iloc[-1]
    assert (last["ended"], last["diverged"]) == (8, states["diverged"])
    assert last["steps"] == run.trials()["steps"].sum()
    assert f"{states['finished']} finished, {states['diverged']} diverged" in found.stands_on[0]


def test_runs_that_differ_in_what_losses_depend_on_are_refused(
    launch: Callable[..., Outcome],
) -> None:
    run = launch(trials=2, name="one").run
    for changes, text in (
        ({"training": {"total_steps": 80}}, r"training.total_steps \(60 and 80\)"),
        ({"model": "cnn", "trials": 1}, r"model \('mlp' and 'cnn'\)"),
    ):
        other = launch(**{"trials": 2, "name": f"two{len(changes)}", **changes}).run
        with pytest.raises(RunError, match=f"one and two. differ in {text}.*--profile"):
            convergence_of([run, other])
    same = launch(trials=2, name="three", seed=1).run
    both = convergence_of([run, same])
    assert list(dict.fromkeys(both.targets["run"])) == ["one", "three"]
    assert len(both.stands_on) == 2


class Shown:
    """A run of which only the steps to the target matter."""

    target = (ACCURACY, 0.8)

    def __init__(self, name: str, **steps: float) -> None:
        self.name, self.steps = name, steps


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    def targets(runs: Any) -> Any:
        (run,) = runs
        rows = [{"family": family, "steps": steps} for family, steps in run.steps.items()]
        return type("Part", (), {"targets": pd.DataFrame(rows)})

    monkeypatch.setattr("schedsearch.report.performance_profile.convergence_of", targets)


@pytest.mark.usefixtures("by_hand")
def test_a_profile_by_hand() -> None:
    runs: list[Any] = [
        Shown("a", StepLR=100.0, Constant=200.0, LinearLR=150.0, SWALR=1.0),
        Shown("b", Constant=60.0, StepLR=90.0, LinearLR=inf),
    ]
    frame = profile_of(runs)
    assert list(frame["family"]) == ["StepLR", "Constant", "LinearLR"], "SWALR is not in both"
    assert list(frame["solved"]) == [2, 2, 1]
    assert list(frame["within 1x"]) == [0.5, 0.5, 0.0]
    assert list(frame["within 1.5x"]) == [1.0, 0.5, 0.5]
    assert list(frame["within 2x"]) == [1.0, 1.0, 0.5]


@pytest.mark.usefixtures("by_hand")
def test_a_profile_of_one_run_or_of_no_common_family_is_refused() -> None:
    runs: list[Any] = [Shown("a", StepLR=1.0), Shown("b", Constant=1.0)]
    with pytest.raises(RunError, match="at least two"):
        profile_of(runs[:1])
    with pytest.raises(RunError, match="shown by all of a, b"):
        profile_of(runs)


def test_how_a_number_with_its_interval_is_written() -> None:
    assert _within(120.0, 60.0, inf) == "120 (60 to never)"
    assert _within(inf, inf, inf) == "never"
    assert _within(0.25, nan, nan) == "0.25"
    assert _within(nan, nan, nan) == ""


def test_the_command_prints_every_table(
    cli: Command, confirmed: Path, finished: Path, launch: Callable[..., Outcome], runs_dir: Path
) -> None:
    code, out, err = cli("convergence", confirmed)
    assert (code, err) == (0, "")
    for label in confirmation_frame(open_run(confirmed))["schedule"]:
        assert sum(line.startswith(label) for line in out.splitlines()) == 2
    for text in ("Steps to a validation accuracy of 96%", "area", "25%", "Best so far", "fresh"):
        assert text in out
    assert "performance profile" not in out
    launch(trials=3, name="other")
    code, out, err = cli("convergence", finished, runs_dir / "other")
    assert (code, err) == (0, "")
    assert "finished: 8 finished, 0 diverged" in out
    assert "other: 3 finished, 0 diverged" in out
    assert "performance profile" in out
    code, out, err = cli("convergence", confirmed, finished)
    assert (code, out) == (2, "")
    assert "training.total_steps (120 and 60)" in err
    assert len(err.splitlines()) == 1
    code, out, err = cli("convergence", confirmed, finished, "--profile")
    assert (code, err) == (0, "")
    assert "within 1.5x" in out
    assert "area" not in out


def test_a_run_without_a_finished_trial_is_one_line(
    cli: Command, launch: Callable[..., Outcome], runs_dir: Path
) -> None:
    def stop(event: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launch(trials=2, name="none", run_options={"on_event": stop})
    run: Run = open_run(runs_dir / "none")
    with pytest.raises(RunError, match="no finished trial yet"):
        convergence_of([run])
    code, out, err = cli("convergence", runs_dir / "none")
    assert (code, out, len(err.splitlines())) == (2, "", 1)
