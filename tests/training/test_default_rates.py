"""The usual peak rates of each optimizer."""

import inspect

import pytest
import torch

from schedsearch.training.default_rates import DEFAULT_RATES, DefaultRates, default_rates
from schedsearch.training.optimizers import optimizer_names

# Rprop takes its rate as its first step only, and ASGD decays it by itself.
WITHOUT = {"Rprop", "ASGD"}
# torch's own default is not what their authors give.
NOT_TORCHS = {"SGD", "Muon", "RMSprop"}


def test_every_optimizer_that_a_study_can_name_has_usual_rates_or_is_known_to_have_none() -> None:
    assert {each.optimizer for each in DEFAULT_RATES} | WITHOUT == set(optimizer_names())


@pytest.mark.parametrize("each", DEFAULT_RATES, ids=lambda each: each.sentence())
def test_they_span_two_decades_around_the_usual_rate(each: DefaultRates) -> None:
    assert each.high / each.low == pytest.approx(100)
    assert each.source
    if each.optimizer not in NOT_TORCHS:
        torchs = inspect.signature(getattr(torch.optim, each.optimizer)).parameters["lr"].default
        assert each.low < float(torchs) < each.high


def test_sgd_has_others_with_a_momentum() -> None:
    with_momentum = default_rates("SGD", {"momentum": 0.9, "nesterov": True})
    without = default_rates("SGD", {"weight_decay": 0.1})
    assert with_momentum is not None
    assert without is not None
    assert (with_momentum.low, with_momentum.high) == (0.003, 0.3)
    assert "SGD with momentum (" in with_momentum.sentence()
    assert without.high > with_momentum.high
    assert default_rates("Rprop", {}) is None
    assert default_rates("user_parts:AdamW", {}) is None
