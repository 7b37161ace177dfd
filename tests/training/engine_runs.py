"""Short runs of the reference engine on digits, as its callers start them."""

from typing import Any

from hand_loop import EVALS, RATE, SEED, Row, digits, recorded

from schedsearch import Curve, OptimizerSpec, Schedule, Task, train
from schedsearch.horizon import evaluation_steps

STEPS = 36
SGD_SPEC = OptimizerSpec("SGD", {"momentum": 0.9})
COSINE = Schedule("CosineAnnealingLR", RATE)
STEP = Schedule("StepLR", RATE)
PLATEAU = Schedule("ReduceLROnPlateau", RATE, {"threshold": 0.2, "patience_frac": 0.0})


def runs(schedules: list[Schedule], task: Task | None = None, **changes: Any) -> list[Curve]:
    steps = changes.get("total_steps", STEPS)
    arguments = {
        "total_steps": steps,
        "seed": SEED,
        "eval_steps": evaluation_steps(steps, changes.pop("evals", EVALS)),
        "optimizer": SGD_SPEC,
    }
    return train(task or digits(), schedules, **(arguments | changes))


def rows(curves: list[Curve]) -> list[list[Row]]:
    return [recorded(curve) for curve in curves]
