"""Export as CSV: the learning rate of each step of one horizon."""

import csv
import io
from collections.abc import Mapping
from typing import Any

from schedsearch.errors import ScheduleError
from schedsearch.export.exporter import Exporter
from schedsearch.schedules.schedule import Schedule


def _text(schedule: Schedule, content: Mapping[str, Any], total_steps: int | None) -> str:
    """Return two columns: the step (or epoch), counted from 1, and its learning rate."""
    if schedule.reacts_to_metric:
        raise ScheduleError(
            f"{schedule.family} reacts to {schedule.monitor}: its rates are known only after a "
            "training, so there is no CSV of them"
        )
    assert total_steps is not None, "needs_total_steps"
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow([schedule.step_unit, "lr"])
    rows.writerows(enumerate(schedule.trace(total_steps), start=1))
    return text.getvalue()


CSV = Exporter("csv", "the rate of each step", ".csv", _text, needs_total_steps=True)
