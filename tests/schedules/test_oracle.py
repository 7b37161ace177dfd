"""Every family against plain torch written by hand: the rates are equal to the last bit."""

import pytest
import torch.optim.lr_scheduler as torch_schedulers
from live_runs import LiveRun, parts, schedule_of, trace
from torch.optim import SGD
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch_loops import ORACLE, STEPS, WARMUP, Row, by_hand, tiny_weights, train_step

from schedsearch.schedules.families import FAMILIES
from schedsearch.schedules.params import Choice
from schedsearch.schedules.schedule import Schedule

each_row = pytest.mark.parametrize("row", ORACLE, ids=str)


def test_every_family_has_a_row() -> None:
    assert {row.family for row in ORACLE} == {family.name for family in FAMILIES}


def test_every_choice_has_a_row() -> None:
    for family in FAMILIES:
        rows = [schedule_of(row).params for row in ORACLE if row.family == family.name]
        for param in family.params:
            if isinstance(param, Choice):
                missing = {*param.choices, *param.legal} - {params[param.name] for params in rows}
                assert not missing, (family.name, param.name)


def test_every_scheduler_class_of_torch_is_used() -> None:
    used = {
        ancestor.__name__
        for row in ORACLE
        for part in parts(LiveRun(row, WARMUP).scheduler)
        for ancestor in type(part).__mro__
    }
    assert used >= {*torch_schedulers.__all__, "SWALR"}


@each_row
def test_rates_are_those_of_the_loop_by_hand(row: Row) -> None:
    hand = by_hand(row)
    assert len(hand.rates) == STEPS
    assert trace(row) == hand.rates
    assert LiveRun(row).go() == hand  # rates, momenta and weights


@pytest.mark.parametrize("row", [row for row in ORACLE if row.plateau], ids=str)
def test_the_plateaus_of_the_table_do_cut(row: Row) -> None:
    without = by_hand(Row(row.family, {}, row.scheduler))
    assert by_hand(row).rates[-1] < without.rates[-1]


def test_the_losses_of_real_training_drive_a_plateau() -> None:
    optimizer = SGD([tiny_weights()], lr=0.5, momentum=0.9)
    plateau = ReduceLROnPlateau(optimizer, "min", factor=0.5, patience=1, threshold=0.01)
    rates, losses = [], []
    for step in range(1, 121):
        rates.append(optimizer.param_groups[0]["lr"])
        loss = train_step(optimizer)
        if step % 6 == 0:
            plateau.step(loss)
            losses.append(loss)
    params = {"factor": 0.5, "patience_frac": 0.05, "threshold": 0.01, "min_factor": 0.0}
    assert Schedule("ReduceLROnPlateau", 0.5, params).trace(120, metrics=losses) == rates
    assert len(set(rates)) > 2
