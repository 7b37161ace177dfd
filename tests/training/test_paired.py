"""Two optimizers as one: Muon for the matrices, AdamW for the rest, against a loop with both."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from own_tasks import GROUPED
from torch.nn.functional import cross_entropy
from torch.optim import AdamW, Muon, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR

from schedsearch import OptimizerSpec, Recipe, Schedule, load_task
from schedsearch.config import parse_config
from schedsearch.search.recipes import recipe_of
from schedsearch.tasks.split import Split
from schedsearch.training.engines import find_engine
from schedsearch.training.paired import Paired, divided
from schedsearch.training.reference import train

STEPS, RATE, FACTOR = 20, 0.05, 0.1
SPEC = OptimizerSpec("Muon", {}, OptimizerSpec("AdamW", {"weight_decay": 0.2}), FACTOR)


def test_muon_beside_adamw_is_a_loop_with_two_optimizers() -> None:
    task = load_task(replace(GROUPED, groups=None, train_loss=None), batch_size=16)
    recipe = Recipe(task, SPEC, evals=4)
    (curve,) = train(recipe, [recipe.job(Schedule("CosineAnnealingLR", RATE), 3, STEPS)])

    model = task.model(3).train()
    matrices = [p for p in model.parameters() if p.dim() == 2]
    rest = [p for p in model.parameters() if p.dim() != 2]
    muon = Muon(matrices, lr=RATE)
    adamw = AdamW(rest, lr=RATE * FACTOR, weight_decay=0.2)
    schedulers = [CosineAnnealingLR(each, STEPS) for each in (muon, adamw)]
    assert isinstance(task.train, Split)
    losses, rates = [], []
    for rows in task.batch_indices(3, STEPS):
        batch = task.train.take(rows)
        loss = cross_entropy(model(batch.inputs), batch.targets)
        model.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        muon.step()  # type: ignore[no-untyped-call]
        adamw.step()
        rates.append(float(muon.param_groups[0]["lr"]))
        for scheduler in schedulers:
            scheduler.step()
        losses.append(loss.item())
    means = [sum(losses[i : i + 5]) / 5 for i in range(0, STEPS, 5)]
    assert [row.train_loss for row in curve.rows] == pytest.approx(means, rel=1e-5)
    assert curve.final.lr == pytest.approx(rates[-1])


def test_a_state_comes_back() -> None:
    def made() -> tuple[list[torch.nn.Parameter], Optimizer]:
        params = [torch.nn.Parameter(torch.ones(2, 2)), torch.nn.Parameter(torch.ones(2))]
        return params, SPEC.make([{"params": params}], RATE)

    def step(params: list[torch.nn.Parameter], optimizer: Optimizer) -> None:
        optimizer.zero_grad()
        torch.autograd.backward(params[0].square().sum() * params[1].sum())
        optimizer.step()

    one, first = made()
    step(one, first)
    state, weights = deepcopy(first.state_dict()), [p.detach().clone() for p in one]
    step(one, first)
    other, second = made()
    with torch.no_grad():
        for p, was in zip(other, weights, strict=True):
            p.copy_(was)
    second.load_state_dict(state)
    step(other, second)
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert isinstance(second, Paired)
    assert [
        group is held
        for group, held in zip(
            second.param_groups,
            [g for part in second.parts for g in part.param_groups],
            strict=True,
        )
    ] == [True, True]


def test_what_goes_where() -> None:
    matrix, vector, table = (torch.zeros(*shape) for shape in ((3, 2), (3,), (5, 2)))
    groups = [{"params": [matrix, vector], "lr_factor": 0.5}, {"params": [table], "rest": True}]
    matrices, rest = divided(groups, 0.1)
    assert [group["params"][0] is matrix for group in matrices] == [True]
    assert [[p.shape for p in group["params"]] for group in rest] == [[(3,)], [(5, 2)]]
    assert [group["lr_factor"] for group in (*matrices, *rest)] == pytest.approx([0.5, 0.05, 0.1])


def test_a_study_names_both_and_the_reference_engine_trains_them() -> None:
    training = {"optimizer": "Muon", "rest_optimizer": "AdamW", "rest_lr_factor": 0.1}
    config = parse_config({"name": "a", "task": "digits", "training": training})
    recipe = recipe_of(config, "cpu")
    assert isinstance(recipe.make_optimizer(recipe.task.model(0), 0.1), Paired)  # type: ignore[union-attr]
    why = find_engine("fused").why_not(recipe)
    assert why is not None
    assert "Muon" in why
