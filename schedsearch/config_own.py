"""What a study file may say where a trainer of the user's own trains, and what it may not."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from schedsearch.config_horizon import Count, Horizon

_WAYS = ("task", "command", "trainer")

# What a trainer of the user's own decides itself.
_ITS_OWN = ("model", "data")
_ITS_OWN_TRAINING = (
    *("batch_size", "optimizer", "optimizer_args", "step_unit", "diverge_factor", "clip_norm"),
    *("accumulate", "ema", "precision", "engine", "stack", "label_smoothing"),
    *("rest_optimizer", "rest_optimizer_args", "rest_lr_factor", "epochs"),
)
_OF_OWN = ("metrics", "target")
OF_OWN_TRAINING = ("parallel", "limit_minutes")


class OwnTraining(Horizon):
    """The keys of [training] that are for a trainer of the user's own."""

    parallel: Count = 1
    """How many trainings a trainer of your own makes at a time.

    With `command` or `trainer`, where one training leaves cores or a GPU idle.
    """
    limit_minutes: Annotated[float, Field(ge=0)] = 0.0
    """The longest that one training by a trainer of your own may take: then it has failed;
    0: no limit.

    With `command` or `trainer`, to survive one that hangs.
    """


def refuse_unfit(study: Any) -> None:
    """Refuse a study that has no way to train, or two, or keys that its way does not know.

    Args:
        study: a StudyConfig.

    Raises:
        ValueError: with what is wrong, in one line.
    """
    ways = [name for name in _WAYS if getattr(study, name)]
    if not ways:
        raise ValueError("the key 'task' is missing")
    if len(ways) > 1:
        raise ValueError(f"{ways[0]} and {ways[1]} exclude each other: one of them trains")
    own = ways[0] != "task"
    top, training = (_ITS_OWN, _ITS_OWN_TRAINING) if own else (_OF_OWN, OF_OWN_TRAINING)
    said = [name for name in top if _is_said(study, name)]
    said += [f"training.{name}" for name in training if _is_said(study.training, name)]
    if said:
        why = "your own trainer decides that itself" if own else "a task says that itself"
        if said[0] == "training.epochs":
            why = "total_steps counts how often your own trainer steps its scheduler"
        if said[0].partition(".")[2] in OF_OWN_TRAINING:
            why = "it is for a trainer of your own (command, or trainer)"
        raise ValueError(f"{said[0]} has no meaning here: {why}")
    peak = study.space.peak_lr if "peak_lr" in study.space.model_fields_set else None
    if own and not isinstance(peak, tuple):
        raise ValueError(
            "space.peak_lr is missing: your own trainer can't be given a range test, so say the "
            "range of rates, such as [0.001, 0.1]"
        )


def _is_said(table: Any, name: str) -> bool:
    return bool(getattr(table, name) != type(table).model_fields[name].get_default())


def name_of_command(words: Sequence[str]) -> str:
    """Return what a command is called: its script, or its program.

    >>> name_of_command(["python", "-u", "src/train.py", "--seed", "{seed}"])
    'train.py'
    >>> name_of_command(["mytrainer", "{schedule}"])
    'mytrainer'
    """
    scripts = [word for word in words if re.search(r"\.(py|sh|jl|R|lua|pl)$", word)]
    return Path(scripts[0] if scripts else words[0]).name


def identity_of_own(study: Any) -> dict[str, Any]:
    """Return, by dotted name, what may not change while a run goes on with its own trainer."""
    own: Mapping[str, Any] = {
        "command": list(study.command),
        "trainer": study.trainer,
        "metrics": dict(study.metrics),
        "search.objective": study.search.objective,
        "mode": study.mode if study.mode != "search" else "",
        "training.total_steps": study.training.total_steps,
        "training.evals_per_run": study.training.evals_per_run,
    }
    return {"seed": study.seed} | {name: value for name, value in own.items() if value}
