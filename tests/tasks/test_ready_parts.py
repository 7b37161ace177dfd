"""The pieces of the ready tasks: models, parameter groups, losses, and texts that are absent."""

import sys

import pytest
import torch
from torch import nn
from torch.nn.functional import log_softmax

from schedsearch.errors import DataError
from schedsearch.tasks.char_lm import CHARACTERS, encoded, token_loss
from schedsearch.tasks.imbalanced import weighted_loss
from schedsearch.tasks.registry import load_task
from schedsearch.tasks.resnet import Block, ResNet
from schedsearch.tasks.transformer import Transformer, decay_groups


def transformer() -> Transformer:
    torch.manual_seed(0)
    return Transformer(tokens=11, length=8, width=16, heads=2, depth=2)


def test_a_token_does_not_change_what_stands_in_front_of_it() -> None:
    model, tokens = transformer(), torch.arange(8).repeat(2, 1)
    changed = tokens.clone()
    changed[:, 5] = 9
    one, other = model(tokens), model(changed)
    assert torch.equal(one[:, :5], other[:, :5])
    assert not torch.isclose(one[:, 5:], other[:, 5:]).all(dim=2).any()


def test_only_matrices_decay() -> None:
    model = transformer()
    decaying, others = decay_groups(model)
    assert others["weight_decay"] == 0
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert {names[id(p)].rpartition(".")[2] for p in decaying["params"]} == {"weight"}
    still = {names[id(p)] for p in others["params"]}
    assert {"tokens.weight", "places.weight", "layers.0.norms.0.weight", "to_tokens.bias"} <= still
    assert len(still) + len(decaying["params"]) == len(names)


def test_the_token_loss_is_the_mean_over_all_tokens() -> None:
    outputs, targets = torch.randn(3, 5, 7), torch.randint(7, (3, 5))
    logs = log_softmax(outputs, dim=-1)
    each = [-logs[i, t, targets[i, t]] for i in range(3) for t in range(5)]
    assert torch.allclose(token_loss(outputs, targets), torch.stack(each).mean())


def test_both_classes_weigh_alike() -> None:
    """Nine rows of one class and one of the other: the loss is the mean of the classes' means."""
    outputs, targets = torch.randn(10, 2), torch.tensor([0] * 9 + [1])
    logs = log_softmax(outputs, dim=1)
    means = torch.stack([-logs[:9, 0].mean(), -logs[9, 1]])
    assert torch.allclose(weighted_loss(outputs, targets), means.mean())


def test_characters_are_the_same_on_every_python() -> None:
    assert len(CHARACTERS) == 96
    text = CHARACTERS + "\té→"
    assert encoded(text).tolist() == [*range(96), 96, 96, 96]


def test_a_python_without_its_help_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(DataError, match=r"without its help texts.*apt install") as caught:
        load_task("char_lm")
    assert "\n" not in str(caught.value)


def test_a_residual_network_is_its_body_and_the_way_around_it() -> None:
    torch.manual_seed(0)
    model = ResNet(3, 10, widths=(4, 8), blocks=2, stride=2).eval()
    x = torch.randn(2, 3, 12, 12)
    assert sum(isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3) for m in model.modules()) == 9
    shapes, y = [], x
    for layer in model.features:
        before, y = y, layer(y)
        if isinstance(layer, Block):
            shapes.append(tuple(y.shape[1:]))
            assert torch.equal(y, (layer.body(before) + layer.around(before)).clamp(min=0))
    assert shapes == [(4, 6, 6), (4, 6, 6), (8, 3, 3), (8, 3, 3)]
    assert torch.allclose(model(x), model.classifier(y.flatten(2).mean(dim=2)), atol=1e-6)
