"""A picture of a schedule's rates over one training."""

from matplotlib.figure import Figure

from schedsearch.schedules.schedule import Schedule


def draw_preview(schedule: Schedule, total_steps: int, *, evals: int | None = None) -> Figure:
    """Draw the rates of each step."""
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    schedule.plot(total_steps, evals=evals, axes=figure.add_subplot())
    return figure
