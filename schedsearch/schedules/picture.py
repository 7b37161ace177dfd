"""A schedule's picture: its rates over a training, in a notebook and with matplotlib."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Protocol

from schedsearch.horizon import STEPS, Unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 480, 170, 52, 26


class Drawable(Protocol):
    """The part of a Schedule that is drawn."""

    @property
    def family(self) -> str: ...
    @property
    def peak_lr(self) -> float: ...
    @property
    def params(self) -> Mapping[str, Any]: ...
    @property
    def warmup(self) -> Any: ...
    @property
    def step_unit(self) -> str: ...
    @property
    def evals(self) -> int: ...
    @property
    def reacts_to_metric(self) -> bool: ...
    @property
    def monitor(self) -> str | None: ...

    def trace(
        self,
        total_steps: int | None = None,
        *,
        metrics: Sequence[float] | None = None,
        evals: int | None = None,
    ) -> list[float]:
        """Return the rate of each step."""


def preview_rates(
    schedule: Drawable, total_steps: int, *, evals: int | None = None
) -> tuple[list[float], str]:
    """Return the rates to draw, and the assumption behind them, in words.

    A schedule that reacts to a metric is shown for a metric that never improves, with every cut.
    """
    if not schedule.reacts_to_metric:
        return schedule.trace(total_steps), ""
    evals = evals or schedule.evals
    rates = schedule.trace(total_steps, metrics=[1.0] * evals, evals=evals)
    return rates, f"if {schedule.monitor} never improves over {evals} evaluations"


def title_of(schedule: Drawable) -> str:
    """Return the family, the peak rate and the warm-up as a title."""
    warm = f", warm-up over {schedule.warmup.frac:.1%}" if schedule.warmup else ""
    return f"{schedule.family}, peak_lr {schedule.peak_lr:.4g}{warm}"


def draw_rates(
    schedule: Drawable,
    total_steps: int,
    *,
    evals: int | None = None,
    axes: "Axes | None" = None,
    unit: Unit = STEPS,
) -> "Axes":
    """Draw the rates of each step on matplotlib's axes (default: those of a new figure)."""
    if axes is None:
        from matplotlib import pyplot

        axes = pyplot.subplots(figsize=(7, 3.5), layout="constrained")[1]
    rates, assumption = preview_rates(schedule, total_steps, evals=evals)
    x = [unit.of(step) for step in range(1, total_steps + 1)]
    axes.plot(x, rates, drawstyle="steps-mid", linewidth=1.8)
    axes.set_title(title_of(schedule), fontsize=11)
    counted = "optimizer step" if schedule.step_unit == unit.name == "step" else "epoch"
    of = f"{counted} (of {unit.number(total_steps)})"
    axes.set_xlabel(of + (f", {assumption}" if assumption else ""))
    axes.set_ylabel("learning rate")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    return axes


def as_html(schedule: Drawable, total_steps: int = 240) -> str:
    """Return a small picture with the parameters under it, for a notebook, light or dark."""
    rates, assumption = preview_rates(schedule, total_steps)
    top = max(rates) or 1.0
    wide, high = _WIDTH - _LEFT - 8, _HEIGHT - _BOTTOM - 12

    def at(step: float, rate: float) -> str:
        x = _LEFT + wide * step / len(rates)
        return f"{x:.1f},{12 + high * (1 - rate / top):.1f}"

    course = " ".join(f"{at(i, r)} {at(i + 1, r)}" for i, r in enumerate(rates))
    base = _HEIGHT - _BOTTOM
    marks = [(0, "0", "start"), (0.5, "50%", "middle"), (1, "100% of the training", "end")]
    below = "".join(
        f'<text x="{_LEFT + wide * part:.0f}" y="{base + 16}" text-anchor="{side}">{text}</text>'
        for part, text, side in marks
    )
    words = ", ".join(f"{name}={_short(value)}" for name, value in schedule.params.items())
    notes = "; ".join(filter(None, (words, assumption)))
    return (
        f'<div style="font:13px sans-serif"><b>{escape(title_of(schedule))}</b>'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" role="img" '
        f'style="display:block;max-width:100%;font-size:11px" fill="currentColor">'
        f"<title>learning rate over the training</title>"
        f'<path d="M{_LEFT} 12V{base}H{_WIDTH - 8}" fill="none" stroke="currentColor" '
        f'opacity="0.4"/><text x="{_LEFT - 6}" y="16" text-anchor="end">{top:.3g}</text>'
        f'<text x="{_LEFT - 6}" y="{base}" text-anchor="end">0</text>{below}'
        f'<polyline points="{course}" fill="none" stroke="#2a84c6" stroke-width="2"/></svg>'
        f"{escape(notes)}</div>"
    )


def _short(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_short, value)) + "]"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
