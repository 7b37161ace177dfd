"""Load a schedule from a file: best.json, or a schedule's own JSON."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from schedsearch.errors import ScheduleError, other_version
from schedsearch.schedules.schedule import FORMAT, Schedule

BEST_FORMAT = "schedsearch.best"
BEST_VERSION = 2


def load_schedule(path: str | Path) -> Schedule:
    """Load a schedule from best.json, or from a file that holds `schedule.to_json()`.

    Loading reads values and executes nothing.

    Args:
        path: the file.

    Raises:
        ScheduleError: no such file, a truncated file, or a file of another version.
    """
    return schedule_in(read_content(path))


def read_content(path: str | Path) -> dict[str, Any]:
    """Return all that best.json, or a schedule's own file, holds beside its schedule.

    Raises:
        ScheduleError: no such file, a truncated file, a file of another version, or a file
            without a schedule.
    """
    try:
        content: dict[str, Any] = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise ScheduleError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ScheduleError(f"{path} is no complete JSON file ({error})") from error
    try:
        schedule_in(content)
    except ScheduleError as error:
        raise ScheduleError(f"{path}: {error}") from error
    return content


def schedule_in(content: Any) -> Schedule:
    """Return the schedule in the content of best.json, or of a schedule's own file.

    Raises:
        ScheduleError: content that holds no schedule, or content of another version.
    """
    if not isinstance(content, Mapping) or content.get("format") not in (BEST_FORMAT, FORMAT):
        raise ScheduleError(f'this is no schedule: "format" must be "{BEST_FORMAT}"')
    if content["format"] == FORMAT:
        return Schedule.from_dict(content)
    if content.get("version") != BEST_VERSION:
        raise ScheduleError(other_version("this file", content.get("version"), BEST_VERSION))
    if "schedule" not in content:
        raise ScheduleError("the key 'schedule' is missing")
    return Schedule.from_dict(content["schedule"])
