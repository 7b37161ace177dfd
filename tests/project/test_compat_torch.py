"""The private pieces of torch that compat.py uses are still what they were."""

import shutil
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from schedsearch import compat


def test_the_cpu_alone_is_seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(seed: int) -> None:
        raise AssertionError("another device is seeded")

    monkeypatch.setattr(torch.cuda, "manual_seed_all", refuse)
    with torch.random.fork_rng(devices=[]):
        compat.seed_cpu(5)
        drawn = torch.rand(3)
    assert drawn.equal(torch.rand(3, generator=torch.Generator().manual_seed(5)))


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (nn.Conv1d(1, 1, 1), True),
        (nn.Conv2d(1, 1, 1), True),
        (nn.Conv3d(1, 1, 1), True),
        (nn.ConvTranspose2d(1, 1, 1), True),
        (nn.Linear(1, 1), False),
        (nn.MaxPool2d(2), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_convolutions_are_known(module: nn.Module, expected: bool) -> None:
    assert compat.is_convolution(module) == expected


def test_a_bare_step_is_the_step_without_its_hooks() -> None:
    weights = [nn.Parameter(torch.ones(2)) for _ in range(2)]
    hooked, bare = (SGD([weight], lr=0.5) for weight in weights)
    called: list[Optimizer] = []
    for optimizer in (hooked, bare):
        optimizer.register_step_pre_hook(lambda optimizer, *rest: called.append(optimizer))
    for weight in weights:
        weight.grad = torch.full((2,), 0.5)
    hooked.step()
    with torch.no_grad():
        compat.bare_step(bare)(bare)
    assert called == [hooked]
    assert weights[0].equal(weights[1])


def double(x: Tensor) -> Tensor:
    return 2 * x


def test_functions_with_code_of_their_own_are_compiled_by_themselves() -> None:
    """Torch counts what it compiles by code: one more copy is one more compiled graph."""
    traced: list[object] = []

    def backend(graph: Any, inputs: Any) -> Any:
        traced.append(graph)
        return graph.forward

    copies = [compat.with_own_code(double) for _ in range(torch._dynamo.config.recompile_limit + 2)]
    for number, copy in enumerate(copies):
        assert copy.__code__ is not double.__code__
        compiled = torch.compile(copy, backend=backend, dynamic=False)
        assert compiled(torch.ones(number + 1)).tolist() == [2.0] * (number + 1)
    assert len(traced) == len(copies)


class Negated(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        return -super().forward(input)


def test_a_module_turned_into_a_subclass_keeps_its_weights() -> None:
    layer, x = nn.Linear(2, 3), torch.ones(1, 2)
    before, weight = layer(x), layer.weight
    compat.turn_into(layer, Negated)
    assert isinstance(layer, Negated)
    assert layer.weight is weight
    assert layer(x).equal(-before)


@pytest.mark.skipif(
    not any(map(shutil.which, ("g++", "clang++", "c++"))),
    reason="torch.compile needs a C++ compiler",
)
@pytest.mark.parametrize("trusting", [False, True])
def test_the_options_of_a_compiled_step_are_known_to_torch(trusting: bool) -> None:
    options = compat.cpu_compile_options(trusting=trusting)
    compiled = torch.compile(compat.with_own_code(double), dynamic=False, options=options)
    assert compiled(torch.ones(3)).tolist() == [2.0, 2.0, 2.0]
    unknown = options | {"no_such_option": True}
    with pytest.raises(RuntimeError, match="no_such_option"):
        torch.compile(compat.with_own_code(double), options=unknown)


def test_vector_instructions_are_found_out_anew() -> None:
    from torch._inductor import cpu_vec_isa

    cpu_vec_isa.valid_vec_isa_list()
    assert cpu_vec_isa.valid_vec_isa_list.cache_info().currsize == 1
    compat.forget_vector_instructions()
    assert cpu_vec_isa.valid_vec_isa_list.cache_info().currsize == 0
