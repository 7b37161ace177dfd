"""A schedule, a trial, a finalist and what was measured in a few words, for tables and figures."""

import json
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from schedsearch.imports import lazy
from schedsearch.objective import Objective
from schedsearch.schedules.families import torch_class_of

if TYPE_CHECKING:
    import pandas as pd

    from schedsearch.config import StudyConfig
    from schedsearch.confirmation.record import Finalist
    from schedsearch.report.snapshot import TrialRow
else:
    pd = lazy("pandas")


def what_is_trained(config: "StudyConfig", identity: Mapping[str, Any]) -> str:
    """Return what a run trains, and how long: a task with its optimizer, or the user's trainer."""
    what = config.trains
    if not config.is_own:
        what += f" ({identity['model']}), {config.training.optimizer}"
    return f"{what}, {config.training.unit.say(config.training.total_steps)}"


def short_params(text: str | None) -> str:
    """Return parameters, given as JSON, in a form short enough for a table.

    >>> short_params('{"milestones": [0.51234567, 0.75], "gamma": 0.1}')
    'milestones=[0.512, 0.75] gamma=0.1'
    """
    return "" if text is None or pd.isna(text) else _params(json.loads(text))


def _params(params: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={_short(value)}" for name, value in params.items())


def _short(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_short, value)) + "]"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def with_class(family: str) -> str:
    """Return a family's name, with the torch class that it builds if the name differs from it.

    >>> with_class("InverseSqrt"), with_class("StepLR")
    ('InverseSqrt (LambdaLR)', 'StepLR')
    """
    torch_class = torch_class_of(family)
    return family if torch_class is None else f"{family} ({torch_class})"


def schedule_in_words(schedule: Mapping[str, Any]) -> str:
    """Return a schedule as one line of text.

    Args:
        schedule: what `Schedule.to_dict` gave; its family need not be imported.

    >>> from schedsearch import Schedule, Warmup
    >>> schedule_in_words(Schedule("StepLR", 0.1234, {"gamma": 0.5}, Warmup(0.05)).to_dict())
    'StepLR peak_lr=0.123 warm-up=0.05 step_frac=0.333 gamma=0.5'
    >>> plateau = Schedule("ReduceLROnPlateau", 0.1, {"mode": "max"}, metric="val_macro_f1")
    >>> schedule_in_words(plateau.to_dict()).partition(" mode")[0]
    'ReduceLROnPlateau peak_lr=0.1 metric=val_macro_f1'
    """
    warmup, metric = schedule["warmup"], schedule.get("metric")
    parts = (
        with_class(schedule["family"]),
        f"peak_lr={schedule['peak_lr']:.3g}",
        f"warm-up={warmup['frac']:.3g}" if warmup else "",
        f"metric={metric}" if metric else "",
        _params(schedule["params"]),
    )
    return " ".join(filter(None, parts))


def measured_in_words(measured: Mapping[str, float], objectives: Iterable[Objective]) -> str:
    """Return what was measured, each with its name.

    >>> from schedsearch.objective import OBJECTIVES
    >>> measured_in_words({"val_loss": 0.1234567, "val_accuracy": 0.9}, OBJECTIVES)
    'loss 0.1235, accuracy 90.00%'
    """
    return ", ".join(f"{o.measure} {o.text(measured[o.name])}" for o in objectives)


def reached_in_words(
    measured: Mapping[str, float], objectives: Iterable[Objective], split: str = "validation"
) -> str:
    """Return what was measured, as the object of a sentence.

    Args:
        measured: values by the names of the objectives.
        objectives: what is told.
        split: the data on which it was measured.

    >>> from schedsearch.objective import OBJECTIVES
    >>> reached_in_words({"val_loss": 0.1234567, "val_accuracy": 0.9}, OBJECTIVES)
    'a validation loss of 0.1235 and a validation accuracy of 90.00%'
    """
    parts = [f"a {split} {o.measure} of {o.text(measured[o.name])}" for o in objectives]
    return listed(parts)


def target_in_words(target: tuple[Objective, float]) -> str:
    """Return a target as the object of a sentence.

    >>> from schedsearch.objective import ACCURACY
    >>> target_in_words((ACCURACY, 0.96))
    'a validation accuracy of 96%'
    """
    objective, value = target
    return f"a {objective.words} of {objective.text(value).replace('.00%', '%')}"


def listed(parts: Sequence[str]) -> str:
    """Return parts of a sentence with commas between them, and "and" before the last.

    >>> listed(["one", "two", "three"]), listed(["one"])
    ('one, two and three', 'one')
    """
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))


def trial_in_words(row: "TrialRow", objectives: Iterable[Objective], width: int = 38) -> str:
    """Return a trial's schedule and result as lines of text short enough for a phone.

    Args:
        row: the trial.
        objectives: what its trainings measure.
        width: the most characters per line.
    """
    lines = [f"trial {row.trial}"]
    if pd.notna(row.schedule):
        lines += textwrap.wrap(schedule_in_words(json.loads(row.schedule)), width)
    if row.state == "finished":
        lines += textwrap.wrap(measured_in_words(row.measured, objectives), width)
    else:
        lines.append(f"{row.state} after {row.steps} steps" if pd.notna(row.steps) else row.state)
    return "\n".join(lines)


def finalist_in_words(finalist: "Finalist", width: int = 38) -> str:
    """Return a finalist's schedule and origin as lines of text short enough for a phone."""
    text = schedule_in_words(finalist.schedule.to_dict())
    origin = "tuned as a baseline" if finalist.trial is None else f"trial {finalist.trial}"
    return "\n".join([origin, *textwrap.wrap(text, width)])
