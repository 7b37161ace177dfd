"""Export as JSON: best.json, or a schedule's own file, as `load_schedule` reads it."""

import json
from collections.abc import Mapping
from typing import Any

from schedsearch.export.exporter import Exporter
from schedsearch.schedules.schedule import Schedule


def _text(schedule: Schedule, content: Mapping[str, Any], total_steps: int | None) -> str:
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


JSON = Exporter("json", "best.json, for load_schedule", ".json", _text)
