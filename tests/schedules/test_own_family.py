"""A family of the user's own: found by its name, once its module has been imported."""

from typing import Any

import pytest
from live_runs import space, two_groups
from torch.optim.lr_scheduler import CosineAnnealingLR, ExponentialLR

from schedsearch.errors import ConfigError, ScheduleError
from schedsearch.schedules.families import find_family
from schedsearch.schedules.family import Family
from schedsearch.schedules.params import Float
from schedsearch.schedules.schedule import Schedule

MINE = Family(
    f"{__name__}:MINE",
    "An exponential decay to final_factor.",
    (Float("final_factor", 0.01, 0.1, 0.05, log=True, above=0.0),),
    lambda optimizer, p, run: ExponentialLR(optimizer, p["final_factor"] ** (1 / run.total_steps)),
)
WITH_FLOOR = Family(
    f"{__name__}:WITH_FLOOR",
    "A cosine to a tenth, with the cuts of a plateau on top.",
    find_family("ReduceLROnPlateau").params,
    lambda optimizer, p, run: CosineAnnealingLR(
        optimizer, run.total_steps, eta_min=0.1 * max(run.peaks)
    ),
    plateau=True,
    one_rate=True,
)
MISNAMED = Family("elsewhere:MISNAMED", "Says another place than its own.", (), MINE.body)


def test_it_builds_and_is_written_like_any_other() -> None:
    schedule = Schedule(MINE.name, 0.5, {"final_factor": 0.02})
    assert Schedule.from_json(schedule.to_json()) == schedule
    assert schedule.trace(100) == Schedule("ExponentialLR", 0.5, {"final_factor": 0.02}).trace(100)


def test_it_is_searched_like_any_other() -> None:
    searched = space([MINE.name, "StepLR"], ranges={MINE.name: {"final_factor": 0.03}})
    assert [family.name for family in searched.families] == [MINE.name, "StepLR"]
    assert searched.families[0].params[0].default == 0.03


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("not.imported:FAMILY", "^family 'not.imported:FAMILY': import not.imported before"),
        (f"{__name__}:YOURS", f"^{__name__}:YOURS must be a schedsearch.Family whose name is"),
        (f"{__name__}:pytest", "must be a schedsearch.Family"),
        (f"{__name__}:MISNAMED", "must be a schedsearch.Family whose name is"),
    ],
)
def test_a_name_that_leads_nowhere_is_refused(name: str, words: str) -> None:
    with pytest.raises(ScheduleError, match=words):
        Schedule(name, 0.1)
    with pytest.raises(ConfigError):
        space([name])


def test_its_plateau_cuts_every_group_though_the_class_has_one_rate() -> None:
    metrics = [1.0] * 10
    schedule = Schedule(WITH_FLOOR.name, 0.5, {"patience_frac": 0.2})
    alone = schedule.trace(100, metrics=metrics)
    optimizer = two_groups()
    scheduler: Any = schedule.build(optimizer, 100, evals=10)
    for step, expected in enumerate(alone, 1):
        low, high = (group["lr"] for group in optimizer.param_groups)
        assert high == pytest.approx(expected, rel=1e-12)
        assert low == pytest.approx(expected / 100, rel=1e-12)
        optimizer.step()
        scheduler.step()
        if step % 10 == 0:
            scheduler.step(metrics[step // 10 - 1])
