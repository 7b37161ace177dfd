"""What the searches are measured on: a task with its horizon, its rungs, and its range of rates."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from schedsearch.horizon import evaluation_steps
from schedsearch.schedules.families import FAMILIES
from schedsearch.schedules.space import Space, make_space
from schedsearch.tasks.models import mlp
from schedsearch.tasks.registry import TASKS, load_task
from schedsearch.tasks.split import Split
from schedsearch.tasks.task import Data, Task, TaskSource
from schedsearch.training.optimizers import OptimizerSpec
from schedsearch.training.recipe import Recipe

_TRAIN, _VALIDATION = 40_000, 4_000


def _fewer_pictures(folder: Path | None) -> Data:
    source = next(task for task in TASKS if task.name == "fashion_mnist")
    data = source.load(folder)

    def first(examples: object, count: int) -> Split:
        assert isinstance(examples, Split)
        return Split(*examples.take(slice(0, count)))

    assert isinstance(data.train, Split)
    assert isinstance(data.validation, Split)
    return Data(first(data.train, _TRAIN), first(data.validation, _VALIDATION), data.test)


FASHION = TaskSource(
    name="search_bench.setups:FASHION",
    about="Fashion-MNIST: 40,000 pictures to train, 4,000 to validate; a 784-48-48-10 perceptron",
    models={"mlp": lambda: mlp(784, 48, 10)},
    load=_fewer_pictures,
    target=("val_accuracy", 0.85),
)


@dataclass(frozen=True)
class Setup:
    """A task, and how it is searched.

    Args:
        name: its name on the command line.
        task: a name of TASKS, or an import path.
        total_steps: the full horizon, T.
        evals: evaluations of a run; the steps where a run can be cut.
        rungs: shorter horizons at which all schedules are trained squeezed.
        peak_lr: the range of peak rates.
        optimizer: what steps.
    """

    name: str
    task: str
    total_steps: int
    evals: int
    rungs: tuple[int, ...]
    peak_lr: tuple[float, float]
    optimizer: OptimizerSpec

    @property
    def eval_steps(self) -> tuple[int, ...]:
        """The steps of a full training after which it is evaluated."""
        return evaluation_steps(self.total_steps, self.evals)

    def space(self, families: str | tuple[str, ...] = "all") -> Space:
        """Return the search space over some families."""
        return make_space(
            families,
            peak_lr=self.peak_lr,
            warmup="optional",
            warmup_frac=(0.02, 0.1),
            warmup_start_factor=0.01,
            step_unit="step",
            evals=self.evals,
        )

    def recipe(self) -> Recipe:
        """Return how its schedules are trained."""
        return Recipe(self.load(), self.optimizer, self.evals)

    def load(self) -> Task:
        """Load the task onto the CPU."""
        return _loaded(self.task)


@cache
def _loaded(name: str) -> Task:
    return load_task(name, batch_size=64, device=torch.device("cpu"))


SETUPS: tuple[Setup, ...] = (
    Setup(
        name="fashion",
        task=FASHION.name,
        total_steps=1800,
        evals=18,
        rungs=(100, 200, 300, 450, 600, 900),
        peak_lr=(0.01, 0.5),
        optimizer=OptimizerSpec("SGD", {"momentum": 0.9}),
    ),
    Setup(
        name="digits",
        task="digits",
        total_steps=600,
        evals=12,
        rungs=(100, 150, 200, 300),
        peak_lr=(0.003, 0.3),
        optimizer=OptimizerSpec("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}),
    ),
)
FAMILY_NAMES = tuple(family.name for family in FAMILIES)
