"""The truth table of a setup: a pool of random schedules, each trained at all horizons and seeds.

Each piece (one horizon, one seed) is a file of its own in runs/bench-search: what is there is not
trained again.

    search seed: the full horizon with all evaluations (where a run can be cut), every rung squeezed
    fresh seeds: the full horizon; the mean over some of them is the truth
"""

import io
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
from numpy.typing import NDArray

from schedsearch.files import write_atomically
from schedsearch.schedules.schedule import Schedule
from schedsearch.schedules.space import suggest_schedule
from schedsearch.seeds import derive_seed
from schedsearch.training.choice.probe import choose_trainer
from schedsearch.training.choice.trainer import Trainer
from schedsearch.training.choice.way import EngineWish
from search_bench.setups import FAMILY_NAMES, Setup

Floats = NDArray[np.float64]

PER_FAMILY = 20
FRESH_SEEDS = 5
FOLDER = Path("runs") / "bench-search"


@dataclass(frozen=True)
class Piece:
    """All schedules of the pool at one horizon on one seed; seed 0 is the search's."""

    horizon: int
    seed: int


@dataclass(frozen=True, eq=False)
class Table:
    """What is known of a pool of N schedules.

    Args:
        setup: of which setup.
        schedules: the pool.
        squeezed: horizon -> final losses `[N]` of the schedule built for it, on the search's seed;
            the full horizon is among them. Infinite where it diverged.
        spent: horizon -> optimizer steps `[N]` that this took.
        cut: losses `[N, evals]` of the full training on the search's seed at `setup.eval_steps`.
        fresh: final losses `[FRESH_SEEDS, N]` of full trainings on fresh seeds.
    """

    setup: Setup
    schedules: tuple[Schedule, ...]
    squeezed: dict[int, Floats]
    spent: dict[int, Floats]
    cut: Floats
    fresh: Floats

    @property
    def families(self) -> tuple[str, ...]:
        """The family of each schedule."""
        return tuple(schedule.family for schedule in self.schedules)

    def truth(self, first: int = 0) -> Floats:
        """Return the mean loss `[N]` over the fresh seeds from `first` on."""
        return np.asarray(self.fresh[first:].mean(axis=0))

    def regrets(self, first: int = 0) -> Floats:
        """Return how much worse than the best truth each truth is, `[N]`.

        At most as much as the median of the pool: a pick that diverges on a fresh seed is as bad
        as one drawn blindly, and a mean over picks stays a number.
        """
        truth = self.truth(first)
        return np.asarray(np.minimum(truth, np.median(truth)) - truth.min())

    @property
    def noise(self) -> float:
        """The standard deviation over seeds, its median over the better half of the schedules."""
        better = np.argsort(self.truth())[: len(self.schedules) // 2]
        return float(np.median(self.fresh[:, better].std(axis=0, ddof=1)))


def pool(setup: Setup) -> tuple[Schedule, ...]:
    """Draw the pool: as many random schedules of each family."""
    schedules = []
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for name in FAMILY_NAMES:
        space = setup.space((name,))
        sampler = optuna.samplers.RandomSampler(seed=derive_seed(0, "pool", name))
        study = optuna.create_study(sampler=sampler)
        schedules += [suggest_schedule(study.ask(), space) for _ in range(PER_FAMILY)]
    return tuple(schedules)


def training_seed(number: int) -> int:
    """Return what decides weights and batches of a piece's seed."""
    return derive_seed(0, "truth", number)


def pieces(setup: Setup) -> list[Piece]:
    """Return all pieces of a table, the search's seed first."""
    search = [Piece(horizon, 0) for horizon in (setup.total_steps, *reversed(setup.rungs))]
    return search + [Piece(setup.total_steps, seed) for seed in range(1, FRESH_SEEDS + 1)]


def load_table(setup: Setup, *, thread_count: int | None = None) -> Table:
    """Train what is missing of a table, and read it."""
    schedules = pool(setup)
    folder = _folder(setup, schedules)
    missing = [piece for piece in pieces(setup) if not _file(folder, piece).exists()]
    if missing:
        _train(setup, schedules, missing, folder, thread_count)
    found = {piece: np.load(_file(folder, piece)) for piece in pieces(setup)}
    search = {piece.horizon: part for piece, part in found.items() if piece.seed == 0}
    full = search[setup.total_steps]["losses"]
    return Table(
        setup=setup,
        schedules=schedules,
        squeezed={horizon: part["losses"][:, -1] for horizon, part in search.items()},
        spent={horizon: part["spent"] for horizon, part in search.items()},
        cut=full,
        fresh=np.stack([part["losses"][:, -1] for piece, part in found.items() if piece.seed]),
    )


def _folder(setup: Setup, schedules: Sequence[Schedule]) -> Path:
    """Name a folder by all that decides what is in it."""
    what = [setup.task, setup.total_steps, setup.evals, repr(setup.optimizer)]
    text = json.dumps([*what, *(schedule.to_json() for schedule in schedules)])
    return FOLDER / f"{setup.name}-{derive_seed(0, text):08x}"


def _file(folder: Path, piece: Piece) -> Path:
    return folder / f"{piece.horizon}-{piece.seed}.npz"


def _train(
    setup: Setup,
    schedules: Sequence[Schedule],
    missing: Sequence[Piece],
    folder: Path,
    thread_count: int | None,
) -> None:
    steps = sum(piece.horizon for piece in missing) * len(schedules)
    wish = EngineWish(threads=thread_count)
    trainer = choose_trainer(setup.recipe(), wish, waves=[(64, 1)], steps=steps)
    how = trainer.way.summary
    say(f"{setup.name}: {len(schedules)} schedules, {steps:,} steps; engine: {how}")
    started, done = time.monotonic(), 0
    for piece in missing:
        _train_piece(schedules, piece, trainer, _file(folder, piece))
        done += piece.horizon * len(schedules)
        left = (time.monotonic() - started) * (steps - done) / done
        say(f"{setup.name}: horizon {piece.horizon}, seed {piece.seed}; {left:.0f} s left")


def _train_piece(schedules: Sequence[Schedule], piece: Piece, trainer: Trainer, file: Path) -> None:
    recipe, seed = trainer.recipe, training_seed(piece.seed)
    curves = trainer.train([recipe.job(each, seed, piece.horizon) for each in schedules])
    losses = np.full((len(schedules), recipe.evals), np.inf)
    for row, curve in zip(losses, curves, strict=True):
        seen = [evaluation.val_loss for evaluation in curve.rows]
        row[: len(seen) - curve.diverged] = seen[: len(seen) - curve.diverged]
    spent = np.array([curve.final.step for curve in curves], dtype=float)
    file.parent.mkdir(parents=True, exist_ok=True)
    packed = io.BytesIO()
    np.savez_compressed(packed, losses=losses, spent=spent)
    write_atomically(file, packed.getvalue())


def say(text: str) -> None:
    """Tell how far it is, on standard error."""
    print(text, file=sys.stderr, flush=True)
