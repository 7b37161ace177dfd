"""A picture of a schedule's rates over one training."""

from matplotlib.figure import Figure

from schedsearch.schedules.schedule import Schedule


def draw_preview(
    schedule: Schedule,
    total_steps: int | None = None,
    *,
    epochs: float | None = None,
    steps_per_epoch: int | None = None,
    evals: int | None = None,
) -> Figure:
    """Draw the rates of each step; the arguments are those of `Schedule.plot`."""
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    schedule.plot(
        total_steps,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        evals=evals,
        axes=figure.add_subplot(),
    )
    return figure
