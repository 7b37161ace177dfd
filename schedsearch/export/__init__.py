"""EXPORTERS: the formats in which a schedule can be written, for use outside this package."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from schedsearch.errors import ScheduleError, StorageError
from schedsearch.export import csv, json
from schedsearch.export.exporter import Exporter
from schedsearch.files import write_atomically
from schedsearch.named import find_named
from schedsearch.schedules.load import schedule_in

EXPORTERS: tuple[Exporter, ...] = (
    json.JSON,
    csv.CSV,
)


def find_exporter(name: str) -> Exporter:
    """Return the exporter of a name.

    Raises:
        ScheduleError: no such exporter.
    """
    return find_named("export format", name, EXPORTERS, ScheduleError)


def save_export(
    exporter: Exporter, content: Mapping[str, Any], path: Path, *, total_steps: int | None = None
) -> None:
    """Write a schedule in a format, in one move; make the folder if it is missing.

    Args:
        exporter: the format.
        content: what best.json, or a schedule's own file, holds.
        path: the file to write.
        total_steps: the horizon, in the schedule's step_unit; for formats that need one.

    Raises:
        ScheduleError: content that holds no schedule, or a horizon that is missing or too short.
        StorageError: the file cannot be written.
    """
    if exporter.needs_total_steps and total_steps is None:
        raise ScheduleError(f"the format {exporter.name!r} needs a horizon: name --total-steps")
    text = exporter.text(schedule_in(content), content, total_steps)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
    write_atomically(path, text.encode())
