"""A picture of a schedule's rates over a run."""

import io
from pathlib import Path

from matplotlib.figure import Figure

from schedsearch.errors import ScheduleError
from schedsearch.files import write_atomically
from schedsearch.schedules import Schedule


def preview_rates(
    schedule: Schedule, total_steps: int, *, evals: int | None = None
) -> tuple[list[float], str]:
    """Give the rates to draw, and what they assume.

    A schedule that reacts to a metric is shown for one that never improves: every cut it can make.
    """
    if not schedule.reacts_to_metric:
        return schedule.trace(total_steps), ""
    evals = evals or schedule.evals
    rates = schedule.trace(total_steps, metrics=[1.0] * evals, evals=evals)
    return rates, f"if {schedule.monitor} never improves over {evals} evaluations"


def draw_preview(schedule: Schedule, total_steps: int, *, evals: int | None = None) -> Figure:
    """Draw the rates of each step."""
    rates, assumption = preview_rates(schedule, total_steps, evals=evals)
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(range(1, total_steps + 1), rates, drawstyle="steps-mid", linewidth=1.8)
    warm = f", warm-up over {schedule.warmup.frac:.1%}" if schedule.warmup else ""
    axes.set_title(f"{schedule.family}, base_lr {schedule.base_lr:.4g}{warm}", fontsize=11)
    unit = "optimizer step" if schedule.step_unit == "step" else "epoch"
    axes.set_xlabel(f"{unit} (of {total_steps})" + (f", {assumption}" if assumption else ""))
    axes.set_ylabel("learning rate")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
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
