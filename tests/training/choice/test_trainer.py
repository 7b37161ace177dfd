"""A trainer asks a source for jobs, trains them like a plain torch loop, and tells it each end."""

import dataclasses
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from engine_runs import SGD_SPEC, STEP, jobs_of, recipe_of
from hand_loop import EVALS, RATE, SEED, by_hand, digits, validate
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from schedsearch import Curve, OptimizerSpec, Schedule
from schedsearch.errors import ConfigError
from schedsearch.training import engines
from schedsearch.training.choice.demand import Demand
from schedsearch.training.choice.probe import choose_trainer
from schedsearch.training.choice.trainer import Trainer
from schedsearch.training.choice.way import EngineWish, Way
from schedsearch.training.curve import Evaluation
from schedsearch.training.engines import Engine, engine_names, find_engine
from schedsearch.training.recipe import Ended, Job, Recipe
from schedsearch.training.reference import fit, train

COSINE = Schedule("CosineAnnealingLR", RATE)
WAYS = (Way("reference"), Way("fused", stack=3, block=2))
each_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.kind)


class Portions:
    """Hands out jobs as they fit, stops one of them, and writes down all that it is told."""

    def __init__(self, jobs: Sequence[Job], stop: Job | None = None, at: int = 0) -> None:
        self.waiting, self.stop, self.at = list(jobs), stop, at
        self.rooms: list[int] = []
        self.rows: dict[Job, list[Evaluation]] = {}
        self.gave: dict[Job, Ended] = {}

    def ask(self, room: int) -> Sequence[Job]:
        self.rooms.append(room)
        few = max(1, room - len(self.rooms) % 2)  # now and then fewer than there is room for
        chosen, self.waiting = self.waiting[:few], self.waiting[few:]
        return chosen

    def evaluated(self, job: Job, row: Evaluation) -> bool:
        self.rows.setdefault(job, []).append(row)
        return job is self.stop and row.step >= self.at

    def ended(self, ended: Ended) -> None:
        assert ended.job not in self.gave, "an end is told once"
        self.gave[ended.job] = ended


def assert_like_by_hand(curve: Curve, job: Job, until: int) -> None:
    """Compare with a plain torch loop over the whole horizon, up to a step."""
    hand = by_hand(
        digits(),
        scheduling=lambda o: CosineAnnealingLR(o, job.total_steps),
        total_steps=job.total_steps,
        evals=len(job.eval_steps),
        seed=job.seed,
    )
    hand = [row for row in hand if row.step <= until]
    assert [(row.step, row.lr) for row in curve.rows] == [(row.step, row.lr) for row in hand]
    losses = [row.val_loss for row in hand]
    assert [row.val_loss for row in curve.rows] == pytest.approx(losses, rel=1e-4)
    assert curve.final.value("val_accuracy") == pytest.approx(hand[-1].val_accuracy, abs=0.01)


@each_way
def test_a_source_is_asked_until_it_has_no_more_jobs(way: Way) -> None:
    """In portions, of two horizons, two seeds; one job is cut, one is stopped, one is kept."""
    recipe = recipe_of(evals=4)
    jobs = [recipe.job(COSINE, seed, steps) for steps in (20, 40) for seed in (3, 4)]
    jobs += [dataclasses.replace(jobs[2], last_step=20), recipe.job(COSINE, 4, 40)]
    jobs += [recipe.job(COSINE, 3, 20, keeps_model=True)]
    source = Portions(jobs, stop=jobs[5], at=30)
    trainer = Trainer(way, recipe)
    trainer.run(source)

    assert not source.waiting
    assert set(source.rooms) == {trainer.room} == {way.stack}
    assert list(source.gave.keys() - set(jobs)) == []
    ends = {jobs[4]: 20, jobs[5]: 30}
    for job in jobs:
        ended = source.gave[job]
        assert_like_by_hand(ended.curve, job, ends.get(job, job.total_steps))
        assert ended.curve.stopped == (job is jobs[5])
        assert not ended.curve.diverged
        assert tuple(source.rows[job]) == ended.curve.rows, "each evaluation is told"
        assert (ended.model is not None) == job.keeps_model
    kept = source.gave[jobs[6]]
    assert kept.model is not None
    assert validate(kept.model, digits())[0] == pytest.approx(kept.curve.final.val_loss, rel=1e-6)


@each_way
def test_train_returns_the_curves_in_the_order_of_the_jobs(way: Way) -> None:
    recipe = recipe_of(evals=2)
    schedules = [STEP, Schedule("OneCycleLR", RATE, {"cycle_momentum": True}), COSINE]
    jobs = [job for steps in (20, 10) for job in jobs_of(recipe, schedules, steps, [1, 2, 1])]
    jobs.append(recipe.job(Schedule("Constant", 1e30), 1, 20))
    ended: dict[Job, Ended] = {}
    curves = Trainer(way, recipe).train(jobs, on_end=lambda one: ended.update({one.job: one}))
    assert [ended[job].curve for job in jobs] == curves
    for job, curve in zip(jobs, curves, strict=True):
        want = fit(recipe, job)[1]
        assert [(row.step, row.lr) for row in curve.rows] == [(r.step, r.lr) for r in want.rows]
        assert curve.diverged == want.diverged == (job is jobs[-1])
        if not curve.diverged:
            assert curve.final.val_loss == pytest.approx(want.final.val_loss, rel=1e-4)


def test_a_way_is_a_plain_value() -> None:
    way = Way("fused", stack=64, block=32, lanes=2, compiled=True, reason="fast")
    assert Way.from_dict(way.describe()) == way
    assert hash(way) == hash(Way.from_dict(way.describe()))
    assert way.summary == "fused, 64 jobs at once, compiled, 2 threads"


@pytest.mark.parametrize("wish", [{"stack": 0}, {"threads": 0}, {"stack": -1}])
def test_a_wish_that_cannot_be_is_refused(wish: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="is less than 1"):
        EngineWish(**wish)


# ---- a third engine: its record is all that there is of it


class HandLoop:
    """A plain torch loop that knows nothing of this package's engines, for constant rates."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    def stepper(self) -> Callable[[int], None]:
        return lambda count: None  # nothing is faster

    def train(self, jobs: Sequence[Job], *, on_eval: Any, on_end: Any) -> None:
        for job in jobs:
            hand = by_hand(self.recipe.trained_task, total_steps=job.total_steps, seed=job.seed)
            rows = tuple(row.evaluation for row in hand)
            for row in rows:
                on_eval(job, row)
            on_end(Ended(job, Curve(rows, {"val_loss": 2.3})))


def hand_ways(recipe: Recipe, demand: Demand) -> list[Way]:
    return [Way("hand", threads=count) for count in demand.threads]


HAND = Engine(
    "hand",
    "one job at a time, by hand",
    many=False,
    why_not=lambda recipe: None if recipe.optimizer.name == "SGD" else "only SGD by hand",
    ways=hand_ways,
    prepare=lambda way, recipe: HandLoop(recipe),
)


@pytest.fixture
def third(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "ENGINES", (*engines.ENGINES, HAND))


@pytest.mark.parametrize("asked", ["hand", "auto"])
def test_a_third_engine_is_chosen_trained_with_and_described(third: None, asked: str) -> None:
    assert engine_names() == ("auto", "reference", "fused", "hand")
    recipe = recipe_of(evals=EVALS)
    wish = EngineWish(asked, threads=1)
    trainer = choose_trainer(recipe, wish, waves=[(4, 1)], steps=10**6, compiles=False)
    assert trainer.way.kind == trainer.way.describe()["kind"] == "hand"
    assert trainer.way.summary == "hand, 1 thread"
    assert "times the reference engine's speed" in trainer.way.reason
    jobs = jobs_of(recipe, [Schedule("Constant", RATE)] * 2, 90, [SEED, 1])
    source = Portions(jobs)
    trainer.run(source)
    assert set(source.rooms) == {1}
    for job, want in zip(jobs, train(recipe, jobs), strict=True):
        assert source.gave[job].curve.final.val_loss == pytest.approx(want.final.val_loss, rel=1e-5)


def test_a_third_engine_may_refuse(third: None) -> None:
    recipe = recipe_of(optimizer=OptimizerSpec("Adam", {}))
    wish = EngineWish("hand", threads=1)
    way = choose_trainer(recipe, wish, waves=[(4, 1)], steps=10**6).way
    assert way.kind == "reference"
    assert "not hand: only SGD by hand" in way.reason


def test_the_names_are_known_without_torch() -> None:
    """So that the command line can list them at once."""
    code = (
        "import sys; from schedsearch.training.choice.way import EngineWish, Way; "
        "from schedsearch.training.engines import engine_names; "
        "print(engine_names(), 'torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == f"{engine_names()} False\n"


def test_an_unknown_engine_is_told_with_the_nearest() -> None:
    assert [find_engine(name).name for name in engine_names()[1:]] == ["reference", "fused"]
    with pytest.raises(ConfigError, match="unknown engine 'fusd': did you mean 'fused'"):
        choose_trainer(recipe_of(), EngineWish("fusd"), waves=[(4, 1)], steps=1)


def test_a_kept_model_is_that_of_the_plain_loop() -> None:
    """Also where the engine would train many at once."""
    recipe = recipe_of(optimizer=SGD_SPEC, evals=2)
    job = recipe.job(STEP, 0, 20, keeps_model=True)
    models: list[nn.Module | None] = []
    Trainer(WAYS[1], recipe).train([job], on_end=lambda ended: models.append(ended.model))
    (model,), want = models, fit(recipe, job)[0]
    assert model is not None
    for one, other in zip(model.parameters(), want.parameters(), strict=True):
        assert one.equal(other)
