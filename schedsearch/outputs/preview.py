"""A picture of a schedule's rates over a run, as a file."""

import io
from pathlib import Path

from matplotlib.figure import Figure

from schedsearch.errors import ScheduleError
from schedsearch.files import write_atomically
from schedsearch.schedules import Schedule


def draw_preview(schedule: Schedule, total_steps: int, *, evals: int | None = None) -> Figure:
    """Draw the rates of each step."""
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    schedule.plot(total_steps, evals=evals, axes=figure.add_subplot())
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Save a figure; the file's ending decides the format (png, svg, pdf).

    Raises:
        ScheduleError: an ending that matplotlib does not know.
        StorageError: a place that can't be written.
    """
    content = io.BytesIO()
    try:
        figure.savefig(content, dpi=150, format=path.suffix.lstrip(".") or "png")
    except ValueError as error:
        raise ScheduleError(f"cannot write {path}: {error}") from error
    write_atomically(path, content.getvalue())
