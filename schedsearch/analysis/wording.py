"""How a schedule is said in a few words, in tables and figures."""

import json
import textwrap
from typing import Any

import pandas as pd

from schedsearch.storage.finalists import Finalist


def short_params(text: str | None) -> str:
    """Shorten parameters in JSON for a table.

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


def schedule_in_words(family: str, base_lr: float, warmup_frac: float, params: str | None) -> str:
    """Say a schedule in one line.

    >>> schedule_in_words("StepLR", 0.1234, 0.05, '{"gamma": 0.5}')
    'StepLR base_lr=0.123 warm-up=0.05 gamma=0.5'
    """
    warm = f"warm-up={warmup_frac:.3g}" if warmup_frac else ""
    return " ".join(filter(None, (family, f"base_lr={base_lr:.3g}", warm, short_params(params))))


def trial_in_words(row: Any, width: int = 38) -> str:
    """Say a trial with its schedule and its end, in lines short enough for a phone.

    Args:
        row: a row of the frame of trials (`itertuples`).
        width: characters a line.
    """
    schedule = schedule_in_words(row.family, row.base_lr, row.warmup_frac, row.params)
    lines = [f"trial {row.trial}", *textwrap.wrap(schedule, width)]
    if row.state == "finished":
        lines.append(f"loss {row.val_loss:.4g}, accuracy {row.val_accuracy:.2%}")
    else:
        lines.append(f"{row.state} after {row.steps} steps" if pd.notna(row.steps) else row.state)
    return "\n".join(lines)


def finalist_in_words(finalist: Finalist, width: int = 38) -> str:
    """Say a finalist with its schedule, in lines as short."""
    schedule = finalist.schedule
    warm = schedule.warmup.frac if schedule.warmup else 0.0
    params = json.dumps(schedule.to_dict()["params"])
    text = schedule_in_words(schedule.family, schedule.base_lr, warm, params)
    origin = "tuned as a reference" if finalist.trial is None else f"trial {finalist.trial}"
    return "\n".join([origin, *textwrap.wrap(text, width)])
