"""The fused engine equals plain torch loops, one for each run; and planted bugs are seen.

Tolerances: in float64 1e-10 relative to the largest weight, far above 300 steps of rounding (1e-16
each) and far below any wrong rate; in float32 1e-4. Rates are compared bit for bit. The runs are
stable ones: at the edge of stability a rounding difference grows without bound in any engine.
"""

import dataclasses
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn

from schedsearch.horizon import evaluation_steps
from schedsearch.schedules import FAMILIES, Schedule, Warmup
from schedsearch.tasks import Split, Task, load_task
from schedsearch.training import Engine, OptimizerSpec, choose_engine, fit, train
from schedsearch.training import probe as probe_module
from schedsearch.training.fused import train_fused
from schedsearch.training.rates import LiveRates
from schedsearch.training.stack import FUSABLE_OPTIMIZERS, Stack, Template, why_not_fused

STEPS, EVALS, SEED = 300, 10, 3
FLOAT64, FLOAT32 = 1e-10, 1e-4

OPTIMIZERS = (
    OptimizerSpec("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}),
    OptimizerSpec("SGD", {"momentum": 0.9, "dampening": 0.1}),
    OptimizerSpec("SGD", {}),
    OptimizerSpec("Adam", {"weight_decay": 1e-3, "amsgrad": True}),
    OptimizerSpec("AdamW", {}),
    OptimizerSpec("NAdam", {"decoupled_weight_decay": True, "weight_decay": 1e-2}),
    OptimizerSpec("RAdam", {}),
)


def peak(optimizer: OptimizerSpec) -> float:
    """Give a peak rate at which training is stable."""
    return 0.03 if optimizer.name == "SGD" else 1e-3


def in_double(task: Task) -> Task:
    make = task.make_model
    halves = [
        Split(split.inputs.double()[:, :, ::2, ::2], split.targets)
        for split in (task.train, task.validation)
    ]
    del make

    def small() -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 12), nn.Tanh(), nn.Linear(12, 10)).double()

    return dataclasses.replace(
        task, train=halves[0], validation=halves[1], make_model=small, batch_size=32
    )


@pytest.fixture(scope="module")
def digits() -> Task:
    return load_task("digits")


@pytest.fixture(scope="module")
def double(digits: Task) -> Task:
    return in_double(digits)


def all_schedules(rate: float) -> list[Schedule]:
    return [
        Schedule(family.name, rate, {}, warmup)
        for family in FAMILIES
        for warmup in (None, Warmup(0.1))
    ]


def metric(step: int) -> float:
    """Give plateaus a metric that improves, stalls, improves again: the same for all engines."""
    return 1.0 / (1 + min(step, 90) + max(step - 240, 0))


def plain_loop(
    task: Task, schedule: Schedule, optimizer: OptimizerSpec, steps: int
) -> tuple[Tensor, dict[str, Tensor], list[float], list[float]]:
    """Train as the oracle does: a model, an optimizer and a scheduler of its own."""
    model = task.model(SEED)
    optim = optimizer.make(model.parameters(), lr=1.0)
    scheduler = schedule.build(optim, STEPS, evals=EVALS)
    due, losses, rates = set(evaluation_steps(STEPS, EVALS)), [], []
    for step, rows in enumerate(task.batch_indices(SEED, steps), start=1):
        loss = task.loss(model(task.train.inputs[rows]), task.train.targets[rows])
        optim.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        rates.append(optim.param_groups[0]["lr"])
        optim.step()
        scheduler.step()
        if step in due and schedule.reacts_to_metric:
            scheduler.step(metric(step))  # type: ignore[arg-type]
        losses.append(loss.item())
    params = list(model.parameters())
    state: dict[str, Tensor] = {}
    for name in optim.state[params[0]]:
        values = [torch.as_tensor(optim.state[p][name]) for p in params]
        whole = values[0].dim() == 0
        state[name] = values[0] if whole else torch.cat([v.reshape(-1) for v in values])
    return torch.cat([p.detach().reshape(-1) for p in params]), state, losses, rates


def stacked_loop(
    task: Task,
    schedules: Sequence[Schedule],
    optimizer: OptimizerSpec,
    steps: int,
    *,
    plant: Callable[[Stack, Tensor], Tensor] = lambda stack, rates: rates,
    shift: int = 0,
) -> tuple[Stack, Tensor, list[list[float]]]:
    """All schedules on one Stack, with the rates of LiveRates; `plant` and `shift` are the bugs."""
    stack = Stack(Template(task), [SEED] * len(schedules), optimizer)
    live = [
        LiveRates(s, STEPS, steps_per_epoch=task.steps_per_epoch, evals=EVALS) for s in schedules
    ]
    tables: list[list[float]] = [[] for _ in schedules]
    losses, last = [], 0
    batches = task.batch_indices(SEED, steps)
    for due in evaluation_steps(STEPS, EVALS):
        stop = min(due, steps)
        for run, table in zip(live, tables, strict=True):
            table.extend(run.over(range(last + 1, stop + 1)))
        for step in range(last, stop):
            rows = next(batches)
            used = [table[max(step - shift, 0)] for table in tables]
            rates = torch.tensor(used, dtype=stack.params.dtype).unsqueeze(-1)
            inputs, targets = task.train.inputs[rows], task.train.targets[rows]
            losses.append(stack.step(inputs, targets, plant(stack, rates)))
        for run in live:
            run.tell(metric(due), metric(due))
        last = stop
        if last == steps:
            break
    return stack, torch.stack(losses, dim=1), tables


def assert_equal(
    task: Task,
    schedules: Sequence[Schedule],
    optimizer: OptimizerSpec,
    *,
    steps: int = STEPS,
    plant: Callable[[Stack, Tensor], Tensor] = lambda stack, rates: rates,
    shift: int = 0,
) -> None:
    stack, losses, tables = stacked_loop(
        task, schedules, optimizer, steps, plant=plant, shift=shift
    )
    tolerance = FLOAT64 if stack.params.dtype == torch.float64 else FLOAT32
    for row, schedule in enumerate(schedules):
        params, state, plain_losses, rates = plain_loop(task, schedule, optimizer, steps)
        assert tables[row] == rates, schedule
        assert close(stack.params[row].detach(), params, tolerance), schedule
        assert close(losses[row], torch.tensor(plain_losses, dtype=torch.float64), tolerance), (
            schedule
        )
        for name, value in stack.optimizer.state[stack.params].items():
            whole = not isinstance(value, Tensor) or value.dim() == 0
            mine = torch.as_tensor(value) if whole else value[row]
            assert close(mine, state[name], tolerance), (schedule, name)


def close(got: Tensor, want: Tensor, tolerance: float) -> bool:
    got, want = got.double(), want.double()
    return bool((got - want).abs().max() <= tolerance * want.abs().max())


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: f"{o.name}-{'-'.join(o.args)}")
def test_every_family_equals_its_plain_loop_in_float64(
    double: Task, optimizer: OptimizerSpec
) -> None:
    schedules = all_schedules(peak(optimizer))
    if optimizer is not OPTIMIZERS[0]:
        schedules = schedules[:: len(schedules) // 8]
    assert_equal(double, schedules, optimizer)


def test_every_fusable_optimizer_is_tested() -> None:
    assert {o.name for o in OPTIMIZERS} == set(FUSABLE_OPTIMIZERS)


@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_equal_in_float32(model: str) -> None:
    task = load_task("digits", model=model)
    schedules = [Schedule("StepLR", 0.02), Schedule("CosineAnnealingLR", 0.01, {}, Warmup(0.1))]
    assert_equal(task, schedules, OPTIMIZERS[0], steps=STEPS if model == "mlp" else 60)


def shared_momentum(stack: Stack, rates: Tensor) -> Tensor:
    buffer = stack.optimizer.state[stack.params].get("momentum_buffer")
    if buffer is not None:
        buffer.copy_(buffer.mean(dim=0, keepdim=True).expand_as(buffer))
    return rates


PLANTED: dict[str, tuple[Callable[[Stack, Tensor], Tensor], int]] = {
    "the rates come one step late": (lambda stack, rates: rates, 1),
    "two runs are swapped": (lambda stack, rates: rates.flip(0), 0),
    "the momentum is shared": (shared_momentum, 0),
    "the update is scaled twice": (lambda stack, rates: rates * rates, 0),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_planted_bugs_are_seen(double: Task, bug: str) -> None:
    plant, shift = PLANTED[bug]
    schedules = [Schedule("StepLR", 0.03), Schedule("CosineAnnealingLR", 0.02)]
    optimizer = OPTIMIZERS[0]
    assert_equal(double, schedules, optimizer, steps=150)
    with pytest.raises(AssertionError):
        assert_equal(double, schedules, optimizer, steps=150, plant=plant, shift=shift)


def common(steps: int = 120, **changes: object) -> dict[str, object]:
    settings: dict[str, object] = {
        "total_steps": steps,
        "seed": SEED,
        "eval_steps": evaluation_steps(steps, EVALS),
        "optimizer": OPTIMIZERS[0],
    }
    return settings | changes


def assert_same_curves(got: Sequence[object], want: Sequence[object], rel: float = 1e-4) -> None:
    from schedsearch.training import Curve

    for one, other in zip(got, want, strict=True):
        assert isinstance(one, Curve)
        assert isinstance(other, Curve)
        assert [r.step for r in one.rows] == [r.step for r in other.rows]
        assert [r.lr for r in one.rows] == [r.lr for r in other.rows]
        assert (one.diverged, one.stopped) == (other.diverged, other.stopped)
        finite = [(a, b) for a, b in zip(one.rows, other.rows, strict=True) if b.finite]
        if not one.diverged:
            assert finite
            for a, b in finite:
                assert a.val_loss == pytest.approx(b.val_loss, rel=rel)
                assert a.train_loss == pytest.approx(b.train_loss, rel=rel)
                assert a.val_accuracy == pytest.approx(b.val_accuracy, abs=0.01)


def test_curves_equal_the_reference_engines_whatever_the_stack(digits: Task) -> None:
    schedules = [s for s in all_schedules(0.03) if s.warmup is None]
    want = train(digits, schedules, **common())  # type: ignore[arg-type]
    for stack in (1, 4, 64):
        got = train_fused(digits, schedules, stack=stack, **common())  # type: ignore[arg-type]
        assert_same_curves(got, want)


def test_different_seeds_and_epochs(digits: Task) -> None:
    schedules = [
        Schedule("CosineAnnealingLR", 0.03, {}, step_unit="epoch"),
        Schedule("ReduceLROnPlateau", 0.03, {"patience_frac": 0.1}),
        Schedule("StepLR", 0.03),
    ]
    settings = common(seed=[5, 6, 5])
    want = train(digits, schedules, **settings)  # type: ignore[arg-type]
    got = train_fused(digits, schedules, stack=3, **settings)  # type: ignore[arg-type]
    assert_same_curves(got, want)
    assert got[0].rows[0].train_loss != got[1].rows[0].train_loss


def test_a_run_that_ends_leaves_the_others_as_they_were(double: Task) -> None:
    good = [Schedule("StepLR", 0.03), Schedule("ExponentialLR", 0.02)]
    both = [good[0], Schedule("Constant", 1e6), good[1], Schedule("LinearLR", 0.02)]

    def stop_the_last(index: int, row: object) -> bool:
        return index == 3 and getattr(row, "step", 0) >= 36

    ended: list[int] = []
    got = train_fused(
        double,
        both,
        on_eval=stop_the_last,
        on_end=lambda index, curve: ended.append(index),
        **common(),  # type: ignore[arg-type]
    )
    want = train_fused(double, good, **common())  # type: ignore[arg-type]
    assert [c.diverged for c in got] == [False, True, False, False]
    assert [c.stopped for c in got] == [False, False, False, True]
    assert len(got[3].rows) == 3
    assert ended == [1, 3, 0, 2]
    assert_same_curves([got[0], got[2]], want, rel=1e-12)


class Noisy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Dropout(0.5))
        self.head = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.layers(x))
        return out


def test_dropout_is_each_runs_own_and_seeded(digits: Task) -> None:
    task = dataclasses.replace(digits, make_model=Noisy)
    assert why_not_fused(task, OPTIMIZERS[0]) is None
    twins = [Schedule("Constant", 0.01), Schedule("Constant", 0.01), Schedule("Constant", 1e6)]
    torch.manual_seed(1)
    ended: list[int] = []
    first = train_fused(
        task,
        twins,
        on_end=lambda index, curve: ended.append(index),
        **common(),  # type: ignore[arg-type]
    )
    assert ended == [2, 0, 1]
    assert first[2].diverged
    torch.manual_seed(2)
    again = train_fused(task, twins, **common())  # type: ignore[arg-type]
    assert [c.final.val_loss for c in first[:2]] == [c.final.val_loss for c in again[:2]]
    assert first[0].final.val_loss != first[1].final.val_loss
    alone = [fit(task, twins[0], **common(seed=s))[1].final.val_loss for s in range(4)]  # type: ignore[arg-type]
    fused = train_fused(task, [twins[0]] * 4, **common(seed=[0, 1, 2, 3]))  # type: ignore[arg-type]
    spread = max(alone) - min(alone)
    assert abs(sum(c.final.val_loss for c in fused) / 4 - sum(alone) / 4) < max(spread, 0.1)


def with_model(task: Task, make: Callable[[], nn.Module]) -> Task:
    return dataclasses.replace(task, make_model=make)


def shared_layers() -> nn.Module:
    layer = nn.Linear(64, 64)
    return nn.Sequential(nn.Flatten(), layer, nn.ReLU(), layer, nn.Linear(64, 10))


def frozen_layer() -> nn.Module:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    model[1].bias.requires_grad_(False)
    return model


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(x.flatten(1))
        return out if out.sum() > 0 else -out


REFUSED: dict[str, tuple[Callable[[], nn.Module] | None, OptimizerSpec, str]] = {
    "batch norm": (
        lambda: nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, 10)),
        OPTIMIZERS[0],
        "buffer",
    ),
    "a shared layer": (shared_layers, OPTIMIZERS[0], "shares"),
    "a frozen layer": (frozen_layer, OPTIMIZERS[0], "frozen"),
    "a branch on a value": (Branches, OPTIMIZERS[0], "vmap refuses"),
    "RMSprop": (None, OptimizerSpec("RMSprop", {}), "RMSprop"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_fused_runs_on_the_reference_engine_and_says_why(
    digits: Task, case: str
) -> None:
    make, optimizer, word = REFUSED[case]
    task = digits if make is None else with_model(digits, make)
    refusal = why_not_fused(task, optimizer)
    assert refusal is not None
    assert word in refusal
    for asked in ("auto", "fused"):
        engine = choose_engine(task, optimizer, asked=asked, thread_count=1, batch=8)
        assert engine.kind == "reference"
        assert refusal in engine.reason
    settings = common(20, optimizer=optimizer, eval_steps=(20,))
    schedules = [Schedule("Constant", 1e-3), Schedule("StepLR", 1e-3)]
    got = engine.train(task, schedules, **settings)  # type: ignore[arg-type]
    assert_same_curves(got, train(task, schedules, **settings), rel=0)  # type: ignore[arg-type]


def test_a_schedule_that_moves_the_momentum_is_trained_alone(digits: Task) -> None:
    moving = Schedule("OneCycleLR", 0.03, {"cycle_momentum": True})
    schedules = [Schedule("StepLR", 0.03), moving, Schedule("Constant", 0.03)]
    heard: list[int] = []
    engine = Engine("fused", stack=8)
    got = engine.train(
        digits,
        schedules,
        on_end=lambda index, curve: heard.append(index),
        **common(),  # type: ignore[arg-type]
    )
    want = train(digits, schedules, **common())  # type: ignore[arg-type]
    assert_same_curves(got, want)
    assert sorted(heard) == [0, 1, 2]
    assert [r.val_loss for r in got[1].rows] == [r.val_loss for r in want[1].rows]


def test_the_choice_is_by_measurement_and_can_be_overridden(digits: Task) -> None:
    free = choose_engine(digits, OPTIMIZERS[0], thread_count=1, batch=16)
    assert free.kind in ("reference", "fused")
    assert "ms a step and run" in free.reason
    forced = choose_engine(digits, OPTIMIZERS[0], asked="fused", stack=5, thread_count=1, batch=16)
    assert (forced.kind, forced.stack, forced.threads) == ("fused", 5, 1)
    plain = choose_engine(digits, OPTIMIZERS[0], asked="reference", thread_count=1, batch=16)
    assert plain.kind == "reference"


def test_a_stack_that_memory_cannot_hold_is_reduced_and_says_so(
    digits: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert probe_module.most_that_fit(digits, OPTIMIZERS[0]) > 100
    monkeypatch.setattr(probe_module, "most_that_fit", lambda task, optimizer: 3)
    engine = choose_engine(digits, OPTIMIZERS[0], asked="fused", stack=64, thread_count=1, batch=64)
    assert engine.stack == 3
    assert "memory holds 3 at once, not 64" in engine.reason


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_equal_on_cuda() -> None:
    task = in_double(load_task("digits")).to(torch.device("cuda"))
    schedules = [Schedule("StepLR", 0.03), Schedule("ReduceLROnPlateau", 0.03)]
    want = train(task, schedules, **common())  # type: ignore[arg-type]
    got = train_fused(task, schedules, **common())  # type: ignore[arg-type]
    assert_same_curves(got, want, rel=1e-8)
