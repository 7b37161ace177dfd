"""fidelity.kind = "auto": the pilot, the rule of the choice, and that it is made once."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState
from plans import plain_curves, plan_of
from scipy import stats

from schedsearch import Run, open_run, run_study
from schedsearch.errors import ConfigError, RunError
from schedsearch.fidelity.agreement import Agreement, choice_in_words, choose_kind
from schedsearch.fidelity.read import agreements_of
from schedsearch.launch import Outcome
from schedsearch.search.draft import draft_of
from schedsearch.search.events import AtRung, Chosen, Event, Note, Started
from schedsearch.search.plan import Kind
from schedsearch.search.rungs import Rungs
from schedsearch.statistics.intervals import Estimate
from schedsearch.store.records import read_columns, read_schedule
from schedsearch.training.reference import train

Launch = Callable[..., Outcome]
Command = Callable[..., tuple[int, str, str]]

HORIZONS, EVALS, CHECKS = (20, 60, 180), 5, 9
AUTO: dict[str, Any] = {
    "trials": 9,
    "training": {"total_steps": 180, "evals_per_run": EVALS, "engine": "reference"},
    "space": {"warmup_frac": [0.05, 0.1], "peak_lr": [0.003, 0.3]},
    "fidelity": {"kind": "auto", "eta": 3, "min_steps": 5, "checks": CHECKS},
}


def rung(low: float, better: float) -> Agreement:
    """Make what is known of a rung: the lower end over all, the value among the better half."""
    every = Estimate(0.5, low, 0.9, 12)
    return Agreement(20, every, Estimate(better, -1.0, 1.0, 6), 0)


NOTHING = math.nan
# fmt: off
CHOICES: tuple[tuple[list[tuple[float, float]], list[tuple[float, float]], str], ...] = (
    # squeezed rungs: (low over all, better half) each; cut rungs; what is chosen
    ([(0.2, 0.8), (0.5, 0.9)], [(0.2, 0.1), (0.3, 0.3)], "squeeze"),
    ([(0.2, 0.1), (0.5, 0.2)], [(0.2, 0.8), (0.3, 0.9)], "truncate"),
    ([(0.2, 0.5), (0.2, 0.5)], [(0.2, 0.4), (0.2, 0.6)], "squeeze"),  # a tie
    ([(0.2, 0.0), (0.2, 0.6)], [(0.2, 0.4), (0.2, 0.4)], "truncate"),  # the mean counts
    ([(0.0, 0.9), (0.5, 0.9)], [(0.1, 0.1), (0.1, 0.1)], "truncate"),  # one rung isn't shown
    ([(0.1, 0.1), (0.1, 0.1)], [(0.5, 0.9), (-0.1, 0.9)], "squeeze"),
    ([(-0.1, 0.9)], [(0.0, 0.9)], "full"),
    ([(NOTHING, NOTHING)], [(NOTHING, NOTHING)], "full"),  # too few that did not diverge
    ([(0.1, -0.5)], [(-0.1, 1.0)], "squeeze"),
    ([], [], "full"),
)
# fmt: on


@pytest.mark.parametrize(("squeezed", "cut", "expected"), CHOICES)
def test_the_rule_of_the_choice(squeezed: Any, cut: Any, expected: str) -> None:
    both = [[rung(*each) for each in rungs] for rungs in (squeezed, cut)]
    assert choose_kind(both[0], both[1]) == expected
    text = choice_in_words(expected, both[0], both[1])
    assert text.startswith(f"fidelity: {expected}, by a pilot of ")
    assert "\n" not in text


def stored(run: Run) -> list[FrozenTrial]:
    name = f"{run.name}/fidelity"
    return optuna.load_study(study_name=name, storage=run.storage).trials


def choice(run: Run) -> Any:
    return run.attributes.get("fidelity")


@pytest.fixture(scope="module")
def piloted(
    make_config: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Run, list[Event]]:
    """Return a run of which a pilot chose the rungs, and what it told."""
    events: list[Event] = []
    config, folder = make_config(name="piloted", **AUTO), tmp_path_factory.mktemp("runs")
    outcome = run_study(config, runs_dir=folder, device="cpu", report=False, on_event=events.append)
    return outcome.run, events


def test_the_pilot_trains_squeezed_rungs_and_sees_each_cut_in_its_full_training(
    piloted: tuple[Run, list[Event]],
) -> None:
    run, events = piloted
    plan, pilot = plan_of(run.config), stored(run)
    assert [t.state for t in pilot] == [TrialState.COMPLETE] * CHECKS
    rungs = [(e.schedules, e.horizon) for e in events if isinstance(e, AtRung)][:3]
    assert rungs == [(CHECKS, h) for h in HORIZONS], "each horizon is trained once"
    cut, exact = Rungs("truncate", HORIZONS), 0
    for trial in pilot[:5]:
        schedule, columns = read_schedule(trial), read_columns(trial)
        assert schedule is not None
        seen = dict(zip(columns["step"], columns["val_loss"], strict=True))
        if schedule.reacts_to_metric:
            continue  # it reacts to what is looked at beside its own evaluations
        exact += 1
        for rung, horizon in enumerate(HORIZONS, start=1):
            (curve,) = plain_curves(plan, [schedule], horizon, [plan.training_seed])
            assert trial.intermediate_values[horizon] == curve.final.val_loss
            (curve,) = train(
                plan.recipe, [cut.job(plan.recipe, schedule, plan.training_seed, rung)]
            )
            (there,) = (row for row in curve.rows if row.step == horizon)
            assert seen[horizon] == there.val_loss
    assert exact >= 3


def test_the_choice_follows_from_what_the_pilot_stored(
    piloted: tuple[Run, list[Event]],
) -> None:
    run, events = piloted
    found: dict[str, list[float]] = {"squeeze": [], "truncate": []}
    for horizon in HORIZONS[:2]:
        pairs = []
        for trial in stored(run):
            columns = read_columns(trial)
            seen = dict(zip(columns["step"], columns["val_loss"], strict=True))
            pairs.append((seen[180], trial.intermediate_values[horizon], seen[horizon]))
        for place, kind in ((1, "squeeze"), (2, "truncate")):
            better = sorted((p[0], p[place]) for p in pairs)[: math.ceil(CHECKS / 2)]
            found[kind].append(stats.spearmanr(*zip(*better, strict=True)).statistic)
    it = choice(run)
    for kind, values in found.items():
        assert [row["better_correlation"] for row in it[kind]] == pytest.approx(values)
        assert [row["horizon"] for row in it[kind]] == [20, 60]
    shown = {
        kind: sum(values)
        for kind, values in found.items()
        if all(row["low"] is not None and row["low"] > 0 for row in it[kind])
    }
    assert it["kind"] == (max(shown, key=lambda kind: shown[kind]) if shown else "full")
    told = [e.text for e in events if isinstance(e, Chosen)]
    assert it["text"] in told
    assert it["text"].startswith(f"fidelity: {it['kind']}, by a pilot of 9 schedules (")
    assert len(json.dumps(it)) < 64_000
    assert run.attributes["identity"]["fidelity.kind"] == "auto"
    assert [e.run for e in events if isinstance(e, Started)] == ["piloted/fidelity", "piloted"]


@pytest.mark.parametrize("kind", ["squeeze", "truncate", "full"])
def test_a_stored_choice_is_followed_and_no_check_is_trained_again(
    launch: Launch, monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    monkeypatch.setattr("schedsearch.fidelity.pilot.choose_kind", lambda *_: kind)
    first = launch(**AUTO).run
    assert choice(first)["kind"] == kind
    pilot, names = stored(first), {"squeeze": HORIZONS, "truncate": HORIZONS, "full": (180,)}
    assert first.horizons() == names[kind]
    monkeypatch.setattr("schedsearch.fidelity.pilot.choose_kind", lambda *_: "nothing")
    run = launch(**AUTO | {"trials": 18}).run
    assert choice(run) == choice(first)
    assert stored(run) == pilot
    trials = run.trials()
    assert len(trials) == 18
    if kind == "full":
        assert (trials["spent_steps"][trials["state"] == "finished"] == 180).all()
        assert agreements_of(run) == []
        return
    assert (trials["horizon"][trials["state"] == "pruned"] < 180).any()
    plan = plan_of(run.config)
    row = trials[(trials["horizon"] == 20) & (trials["state"] == "pruned")].iloc[0]
    schedule = read_schedule(next(t for t in run.search_trials() if t.number == row["trial"]))
    assert schedule is not None
    job = Rungs(kind, HORIZONS).job(plan.recipe, schedule, plan.training_seed, 1)
    (curve,) = train(plan.recipe, [job])
    assert row["val_loss"] == next(r.val_loss for r in curve.rows if r.step == 20)
    of_pilot = choice(run)[kind]
    assert agreements_of(run)[0].every.count > of_pilot[0]["schedules"], "and promoted ones"
    more = launch(**AUTO | {"trials": 18, "fidelity": AUTO["fidelity"] | {"checks": 10}}).run
    assert stored(more)[:CHECKS] == pilot
    assert len(stored(more)) == 10
    assert choice(more) == choice(first)


def test_other_rungs_or_another_kind_are_another_study(
    make_config: Callable[..., Any], piloted: tuple[Run, list[Event]]
) -> None:
    folder = piloted[0].place.folder
    assert folder is not None
    for change in ({"rungs": 2}, {"eta": 2}, {"kind": "squeeze"}):
        config = make_config(name="piloted", **AUTO | {"fidelity": AUTO["fidelity"] | change})
        with pytest.raises(RunError, match=r"made with another study \(fidelity\."):
            run_study(config, runs_dir=folder.parent, device="cpu")


def test_a_horizon_that_is_too_short_means_full_and_no_pilot(launch: Launch) -> None:
    events: list[Event] = []
    run = launch(run_options={"on_event": events.append}, fidelity={"kind": "auto"}).run
    assert run.horizons() == (60,)
    assert choice(run) is None
    assert len(run.checks()) == 0
    (note,) = [e.text for e in events if isinstance(e, Note)]
    assert "no rungs below the full horizon" in note


def test_what_cannot_be_chosen_by(make_config: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError, match=r"fidelity.checks = 7 is not allowed: kind = 'auto' ne"):
        make_config(fidelity={"kind": "auto", "checks": 7})
    config = make_config(**AUTO, search={"pruner": "MedianPruner"})
    with pytest.raises(ConfigError, match=r"kind = 'auto': rungs prune already"):
        draft_of(config, "cpu")
    assert make_config(fidelity={"kind": "auto"}).fidelity.checks == 16
    assert make_config(fidelity={"kind": "squeeze"}).fidelity.checks is None, "as the steps allow"


def test_two_processes_share_a_pilot_and_a_range_and_a_dry_run_stores_nothing(
    cli: Command,
    race: Callable[..., list[tuple[int, str, str]]],
    study_file: Callable[..., Path],
    runs_dir: Path,
) -> None:
    space = AUTO["space"] | {"peak_lr": "auto"}
    file = study_file(name="raced", **AUTO | {"space": space, "search": {"batch": 3}})
    command = ("run", file, "--runs-dir", runs_dir, "--no-report")
    code, out, err = cli(*command, "--dry-run")
    assert (code, err) == (0, "")
    assert "auto: a pilot of 9 random schedules, at 20, 60, 180 steps, chooses" in out
    assert not runs_dir.exists()
    ended = race(command, command)
    assert [(code, err) for code, _, err in ended] == [(0, "")] * 2
    run = open_run(runs_dir / "raced")
    assert len(stored(run)) == CHECKS
    text = choice(run)["text"]
    assert all(text in out for _, out, _ in ended)
    every = "".join(out for _, out, _ in ended)
    assert every.count("by a range test") == every.count(", as before") == 1
    assert len(run.trials()) == AUTO["trials"]
    code, out, err = cli("status", runs_dir / "raced")
    assert f"fidelity  {text.removeprefix('fidelity: ')}" in out
    code, out, err = cli(*command, "--dry-run")
    assert (code, err) == (0, "")
    kind = choice(run)["kind"]
    assert f"fidelity   {kind}:" in out
