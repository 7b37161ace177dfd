"""A schedule, a trial and a finalist in a few words, for tables and figures."""

import json
import textwrap
from typing import TYPE_CHECKING, Any

from schedsearch.imports import lazy
from schedsearch.schedules.families import torch_class_of

if TYPE_CHECKING:
    import pandas as pd

    from schedsearch.confirmation.record import Finalist
    from schedsearch.report.snapshot import TrialRow
else:
    pd = lazy("pandas")


def short_params(text: str | None) -> str:
    """Return parameters, given as JSON, in a form short enough for a table.

    >>> short_params('{"milestones": [0.51234567, 0.75], "gamma": 0.1}')
    'milestones=[0.512, 0.75] gamma=0.1'
    """
    if text is None or pd.isna(text):
        return ""
    return " ".join(f"{name}={_short(value)}" for name, value in json.loads(text).items())


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


def schedule_in_words(family: str, peak_lr: float, warmup_frac: float, params: str | None) -> str:
    """Return a schedule as one line of text.

    >>> schedule_in_words("StepLR", 0.1234, 0.05, '{"gamma": 0.5}')
    'StepLR peak_lr=0.123 warm-up=0.05 gamma=0.5'
    """
    warm = f"warm-up={warmup_frac:.3g}" if warmup_frac else ""
    return " ".join(
        filter(None, (with_class(family), f"peak_lr={peak_lr:.3g}", warm, short_params(params)))
    )


def trial_in_words(row: "TrialRow", width: int = 38) -> str:
    """Return a trial's schedule and result as lines of text short enough for a phone.

    Args:
        row: the trial.
        width: the most characters per line.
    """
    schedule = schedule_in_words(row.family, row.peak_lr, row.warmup_frac, row.params)
    lines = [f"trial {row.trial}", *textwrap.wrap(schedule, width)]
    if row.state == "finished":
        lines.append(f"loss {row.val_loss:.4g}, accuracy {row.val_accuracy:.2%}")
    else:
        lines.append(f"{row.state} after {row.steps} steps" if pd.notna(row.steps) else row.state)
    return "\n".join(lines)


def finalist_in_words(finalist: "Finalist", width: int = 38) -> str:
    """Return a finalist's schedule and origin as lines of text short enough for a phone."""
    schedule = finalist.schedule
    warm = schedule.warmup.frac if schedule.warmup else 0.0
    params = json.dumps(schedule.to_dict()["params"])
    text = schedule_in_words(schedule.family, schedule.peak_lr, warm, params)
    origin = "tuned as a baseline" if finalist.trial is None else f"trial {finalist.trial}"
    return "\n".join([origin, *textwrap.wrap(text, width)])
