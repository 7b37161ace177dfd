"""Rungs: which horizons there are, and who goes on; properties of halving."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rows import curve_of, row

from schedsearch import Curve
from schedsearch.config import parse_config
from schedsearch.errors import ConfigError, ScheduleError
from schedsearch.objective import Objective, find_objective
from schedsearch.schedules.schedule import Schedule
from schedsearch.search.draft import Draft, draft_of
from schedsearch.search.plan import Plan
from schedsearch.search.rungs import Climb, Rungs, promoted
from schedsearch.tasks.registry import load_task
from schedsearch.training.optimizers import OptimizerSpec
from schedsearch.training.recipe import Job, Recipe


def curve(value: float, *, diverged: bool = False, steps: int = 10) -> Curve:
    """Make a curve that ends with a value, as loss and as accuracy."""
    return curve_of([row(steps, 0.1, 1.0, value, value, 0.1)], diverged=diverged)


TASK = load_task("digits")
SCHEDULE = Schedule("Constant", 0.1)
KINDS = st.sampled_from(["squeeze", "truncate"])
HORIZONS = st.lists(st.integers(1, 2000), min_size=2, max_size=5, unique=True).map(sorted)
CURVES = st.lists(
    st.builds(
        lambda value, diverged: curve(float("nan") if diverged else value, diverged=diverged),
        st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5]),  # some are equal
        st.booleans(),
    ),
    min_size=1,
    max_size=40,
)
OBJECTIVES = st.sampled_from([find_objective(name) for name in ("val_loss", "val_accuracy")])


@given(CURVES, st.integers(2, 5), OBJECTIVES)
def test_the_best_of_a_rung_go_on_and_nothing_that_diverged(
    curves: list[Curve], eta: int, objective: Objective
) -> None:
    chosen = promoted(curves, Rungs("squeeze", (10, 30), eta), objective)
    alive = {i for i, each in enumerate(curves) if not each.diverged}
    assert chosen == sorted(set(chosen))
    assert set(chosen) <= alive
    assert len(chosen) == min(len(alive), -(-len(curves) // eta))
    sign = 1 if objective.name == "val_loss" else -1
    value = {i: sign * curves[i].final.value(objective.name) for i in alive}
    for one in chosen:
        for other in alive - set(chosen):
            assert (value[one], one) < (value[other], other)


@given(KINDS, HORIZONS, st.integers(2, 4), st.integers(1, 100))
def test_a_cohort_shrinks_to_at_least_one_and_takes_the_steps_that_were_foretold(
    kind: Any, horizons: list[int], eta: int, count: int
) -> None:
    rungs = Rungs(kind, tuple(horizons), eta)
    runs, steps, sizes = [curve(i / 1000) for i in range(count)], 0, []
    for horizon in horizons:
        sizes.append(len(runs))
        steps += horizon * len(runs)
        runs = [runs[i] for i in promoted(runs, rungs, find_objective("val_loss"))]
    assert steps == rungs.steps(count)
    assert sizes[0] == count
    assert sizes[-1] >= 1
    assert all(low <= high for high, low in pairwise(sizes))
    if count == rungs.cohort:
        assert sizes == [eta**k for k in reversed(range(len(horizons)))]


@given(KINDS, HORIZONS, st.integers(1, 20))
def test_a_rung_is_evaluated_at_its_end_and_as_often_as_every_other(
    kind: Any, horizons: list[int], evals: int
) -> None:
    rungs, recipe = Rungs(kind, tuple(horizons)), Recipe(TASK, OptimizerSpec(), evals)

    def job(rungs: Rungs, rung: int) -> Job:
        return rungs.job(recipe, SCHEDULE, 7, rung)

    for rung, horizon in enumerate(horizons, start=1):
        if (horizon < evals and kind == "squeeze") or horizons[-1] < evals:
            with pytest.raises(ScheduleError):
                job(rungs, rung)
            continue
        made = job(rungs, rung)
        total, steps = made.total_steps, made.eval_steps
        assert (made.schedule, made.seed, made.end) == (SCHEDULE, 7, horizon)
        assert len(steps) == evals
        assert horizon in steps
        assert all(low < high for low, high in pairwise((0, *steps, total + 1)))
        assert total == (horizon if kind == "squeeze" else horizons[-1])
    if horizons[-1] >= evals:
        last, full = job(rungs, len(horizons)), job(Rungs("full", (horizons[-1],)), 1)
        assert (last.total_steps, last.eval_steps) == (full.total_steps, full.eval_steps)


@given(HORIZONS, st.integers(1, 20))
def test_a_pilot_is_squeezed_and_evaluated_where_a_rung_would_cut_it(
    horizons: list[int], evals: int
) -> None:
    if horizons[0] < evals:
        return
    pilot = Rungs("pilot", tuple(horizons), promotes="all")
    recipe = Recipe(TASK, OptimizerSpec(), evals)
    jobs = [pilot.job(recipe, SCHEDULE, 7, rung) for rung in range(1, len(horizons) + 1)]
    for job, horizon in zip(jobs[:-1], horizons[:-1], strict=True):
        assert job.eval_steps == recipe.job(SCHEDULE, 7, horizon).eval_steps
    assert set(jobs[-1].eval_steps) >= set(horizons)
    assert set(jobs[-1].eval_steps) >= set(recipe.job(SCHEDULE, 7, horizons[-1]).eval_steps)
    assert pilot.waves(5) == [(5, horizon) for horizon in horizons], "all are promoted"
    assert pilot.cohort == 1


def test_what_a_climb_spent_and_where_it_was_told() -> None:
    climb = Climb().higher(10, curve(0.5, steps=10)).higher(30, curve(0.4, steps=30))
    assert (climb.horizon, climb.spent_steps) == (30, 40)
    fell = climb.higher(90, curve(float("inf"), diverged=True, steps=18))
    assert (fell.horizon, fell.spent_steps, fell.curve.diverged) == (90, 58, True)
    assert fell.values("val_loss") == climb.values("val_loss") == {10: 0.5, 30: 0.4}


@pytest.mark.parametrize(
    "bad",
    [
        ("squeeze", ()),
        ("squeeze", (30, 10)),
        ("squeeze", (0, 10)),
        ("squeeze", (600,)),
        ("full", (10, 30)),
        ("truncate", (10, 10)),
        ("truncate", (10, 30), 0),
    ],
    ids=str,
)
def test_rungs_that_can_not_be(bad: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="rungs"):
        Rungs(*bad)


def drafted(**changes: Any) -> Draft:
    study = {"name": "a", "task": "digits", "families": ["Constant", "StepLR"]}
    return draft_of(parse_config(study | changes), "cpu")


def planned(**changes: Any) -> Plan:
    draft = drafted(**changes)
    return draft.assumed_plan(draft.given_peak_lr)


@pytest.mark.parametrize(
    ("total_steps", "fidelity", "horizons", "note"),
    [
        (1800, {}, (112, 450, 1800), None),
        (1800, {"eta": 3}, (200, 600, 1800), None),
        (600, {}, (100, 245, 600), None),  # not from 38 steps: in equal ratios from min_steps
        (600, {"eta": 3, "min_steps": 67}, (67, 200, 600), None),
        (600, {"rungs": 2, "eta": 3}, (200, 600), None),
        (600, {"rungs": 2}, (150, 600), None),
        (600, {"rungs": [150, 300]}, (150, 300, 600), None),
        (600, {"rungs": [150, 300, 600]}, (150, 300, 600), None),
        (250, {}, (100, 250), "1 of 3 rungs left out: 250 steps are too few"),
        (199, {}, (199,), "199 steps are less than twice fidelity.min_steps = 100"),
        (600, {"rungs": 1}, (600,), "no rungs below the full horizon: there is one alone"),
        (600, {"kind": "full", "rungs": 1}, (600,), None),
        (1800, {"kind": "truncate"}, (112, 450, 1800), None),
        (600, {"eta": 3, "min_steps": 1, "rungs": 4}, (67, 200, 600), "1 of 4 rungs left out"),
        (40, {"rungs": 2, "eta": 8, "min_steps": 1}, (40,), "5 steps: 10 evaluations do not fit"),
        (600, {"eta": 3, "min_steps": 1, "rungs": 4, "kind": "truncate"}, (22, 67, 200, 600), None),
        (20, {"min_steps": 1, "kind": "truncate", "rungs": 9}, (1, 2, 4, 9, 20), "4 of 9 rungs"),
    ],
)
def test_the_rungs_of_a_plan(
    total_steps: int, fidelity: dict[str, Any], horizons: tuple[int, ...], note: str | None
) -> None:
    training = {"total_steps": total_steps, "evals_per_run": 10}
    fidelity = {"kind": "squeeze"} | fidelity
    space = {"warmup_frac": [0.02 if total_steps > 100 else 0.1, 0.1]}
    draft = drafted(training=training, fidelity=fidelity, space=space)
    plan = draft.plan(draft.given_peak_lr)
    assert plan.rungs.horizons == horizons
    assert plan.rungs.kind == (fidelity["kind"] if len(horizons) > 1 else "full")
    assert len(draft.notes) == (note is not None)
    assert (note or "") in " ".join(draft.notes)
    assert all("\n" not in text for text in draft.notes)
    assert plan.at_once == max(8, plan.rungs.cohort)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "sqeeze"}, ["fidelity.kind = 'sqeeze'", "'squeeze'"]),
        ({"rung": 3}, ["unknown key 'fidelity.rung'", "did you mean 'fidelity.rungs'"]),
        ({"rungs": 0}, ["fidelity.rungs = 0", "a number of rungs, or a list of horizons"]),
        ({"rungs": []}, ["fidelity.rungs = []", "a number of rungs"]),
        ({"rungs": [100.5]}, ["fidelity.rungs = [100.5]", "steps are whole numbers"]),
        ({"rungs": True}, ["fidelity.rungs = True", "a number of rungs"]),
        ({"eta": 1}, ["fidelity.eta = 1"]),
        ({"min_steps": 0}, ["fidelity.min_steps = 0"]),
        ({"rungs": [200, 100]}, ["fidelity.rungs = [200, 100]", "rungs grow"]),
        ({"rungs": [200, 200]}, ["rungs grow"]),
        ({"rungs": [200, 700]}, ["700", "beyond training.total_steps = 600"]),
        ({"rungs": [99, 200]}, ["99 steps are too few", "fidelity.min_steps = 100"]),
        ({"rungs": [600]}, ["at least one rung below the full horizon"]),
        ({"rungs": [15], "min_steps": 1}, ["15 steps are too few", "20 evaluations"]),
    ],
    ids=str,
)
def test_what_is_refused(changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        planned(fidelity={"kind": "squeeze"} | changes)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_two_pruners_are_refused() -> None:
    search = {"pruner": "MedianPruner"}
    with pytest.raises(ConfigError, match="rungs prune already"):
        planned(fidelity={"kind": "squeeze"}, search=search)
    assert planned(fidelity={"kind": "full"}, search=search).rungs.kind == "full"


def test_a_pruner_leaves_out_the_rungs_that_nobody_asked_for() -> None:
    assert planned().rungs.kind == "squeeze"
    assert planned(search={"pruner": "MedianPruner"}).rungs.kind == "full"
    assert planned(search={"pruner": "MedianPruner"}, fidelity={"checks": 3}).rungs.kind == "full"
    stored = parse_config(
        {"name": "a", "task": "digits", "search": {"pruner": "MedianPruner"}}
    ).model_dump()
    assert parse_config(stored).fidelity.kind == "full"


@pytest.mark.parametrize(
    ("trials", "fidelity", "count"),
    [
        (16, {}, 0),  # a quarter of 3,180 steps pays for 0 schedules of 945
        (160, {}, 9),  # of 8 x (20 x 100 + 5 x 245 + 2 x 600) for 9
        (1000, {}, 16),
        (16, {"checks": 3}, 3),
        (160, {"checks": 0}, 0),
        (160, {"kind": "full"}, 0),
        (16, {"kind": "auto"}, 16),
    ],
)
def test_a_check_takes_a_quarter_of_the_search_unless_it_is_asked_for(
    trials: int, fidelity: dict[str, Any], count: int
) -> None:
    checks = planned(trials=trials, fidelity=fidelity).checks
    assert (0 if checks is None else checks.trials) == count
    if checks is not None:
        assert checks.rungs.promotes == "all"
        assert checks.sampling.sampler == "random"


@pytest.mark.parametrize("sampler", ["TPE", "random", "QMC", "GP", "CMA-ES"])
def test_a_sampler_of_complete_trials_is_warned_about(sampler: str) -> None:
    notes = drafted(fidelity={"kind": "squeeze", "rungs": 2}, search={"sampler": sampler}).notes
    assert len(notes) == (sampler in ("GP", "CMA-ES"))
    assert all(f"sampler {sampler} learns nothing from trials" in text for text in notes)


def test_a_plan_without_rungs_is_the_run_that_it_was() -> None:
    full = drafted(fidelity={"kind": "full"})
    squeezed = drafted(fidelity={"kind": "squeeze", "rungs": 2, "eta": 3})
    plans = [draft.plan(draft.given_peak_lr) for draft in (full, squeezed)]
    whole, other = (draft.identity(draft.given_peak_lr) for draft in (full, squeezed))
    assert other.keys() - whole.keys() == {"fidelity.kind", "fidelity.horizons", "fidelity.eta"}
    assert not any(key.startswith("fidelity") for key in whole)
    assert plans[0].search_steps(60) == 60 * 600
    assert plans[1].search_steps(17) == 2 * (8 * 200 + 3 * 600) + 200 + 600


def test_a_plan_leaves_nothing_open() -> None:
    """What a range test or a pilot decides must be given; there is no plan without it."""
    open_kind = drafted(fidelity={"kind": "auto"})
    assert open_kind.kind_is_open
    with pytest.raises(ValueError, match="the kind of the rungs is open"):
        open_kind.plan(open_kind.given_peak_lr)
    with pytest.raises(ValueError, match="the kind of the rungs is open"):
        drafted(fidelity={"kind": "squeeze"}).plan(open_kind.given_peak_lr, "squeeze")
    for kind in ("full", "squeeze", "truncate"):
        assert open_kind.plan(open_kind.given_peak_lr, kind).rungs.kind == kind
    open_rates = drafted(space={"peak_lr": "auto"})
    with pytest.raises(ValueError, match="a range test decides"):
        open_rates.given_peak_lr  # noqa: B018
