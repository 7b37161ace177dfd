"""Schedule: a family with its parameters and peak rate, for any horizon; a frozen value."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, cast

from schedsearch.errors import ScheduleError, other_version, unknown
from schedsearch.horizon import Unit, evaluation_steps, horizon_of
from schedsearch.schedules.families import find_family
from schedsearch.schedules.params import Float, Value
from schedsearch.schedules.picture import as_html, draw_rates

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

    from schedsearch.schedules.wrappers import PlateauLR

FORMAT = "schedsearch.schedule"
VERSION = 2
StepUnit = Literal["step", "epoch"]
WATCHED = {"min": "val_loss", "max": "val_accuracy"}  # by ReduceLROnPlateau's mode


def _positive(where: str, value: object, at_most: float = math.inf) -> float:
    return Float("", 0.0, 0.0, 0.0, above=0.0, at_most=at_most).check(value, where)


@dataclass(frozen=True)
class Warmup:
    """A linear rise to the body's first rate.

    Args:
        frac: its length as a fraction of the horizon, in (0, 1).
        start_factor: its first rate as a fraction of the body's first rate, in (0, 1].
    """

    frac: float
    start_factor: float = 0.01

    def __post_init__(self) -> None:
        object.__setattr__(self, "frac", _positive("warmup.frac", self.frac, 1.0))
        start = _positive("warmup.start_factor", self.start_factor, 1.0)
        object.__setattr__(self, "start_factor", start)
        if self.frac == 1.0:
            raise ScheduleError("warmup.frac = 1 is not allowed: nothing is left for the body")


@dataclass(frozen=True)
class Schedule:
    """A learning-rate schedule: a frozen value that builds a real torch scheduler at any horizon.

    Args:
        family: a name of `FAMILIES`, such as "CosineAnnealingLR".
        peak_lr: the peak learning rate.
        params: the family's parameters; a parameter that is left out gets its default.
        warmup: a linear warm-up in front, or None.
        step_unit: what the scheduler's step counts, optimizer steps or epochs.
        evals: evaluations of one training; the patience of a plateau is a fraction of them.
        metric: what a schedule that reacts to a metric watches, such as "val_macro_f1"; None: the
            validation loss in mode "min", the validation accuracy in mode "max".

    Raises:
        ScheduleError: a value that is not allowed; the message says which are.

    >>> schedule = Schedule("StepLR", 0.1, {"step_frac": 0.5, "gamma": 0.1})
    >>> schedule.trace(4)
    [0.1, 0.1, 0.010000000000000002, 0.010000000000000002]
    >>> Schedule.from_json(schedule.to_json()) == schedule
    True
    """

    family: str
    peak_lr: float
    params: Mapping[str, Value] = field(default_factory=dict)
    warmup: Warmup | None = None
    step_unit: StepUnit = "step"
    evals: int = 20
    metric: str | None = None

    def __post_init__(self) -> None:
        family = find_family(self.family)
        params = MappingProxyType(family.checked(self.params))
        object.__setattr__(self, "params", params)
        object.__setattr__(self, "peak_lr", _positive("peak_lr", self.peak_lr))
        if self.step_unit not in ("step", "epoch"):
            raise ScheduleError(unknown("step_unit", self.step_unit, ("step", "epoch")))
        if isinstance(self.evals, bool) or not isinstance(self.evals, int) or self.evals < 1:
            raise ScheduleError(f"evals = {self.evals!r} is not allowed: a whole number from 1 up")
        if self.metric is not None and not (family.plateau and isinstance(self.metric, str)):
            raise ScheduleError(
                f"metric = {self.metric!r} is not allowed: it is the name of what a schedule with "
                f"ReduceLROnPlateau watches, and {self.family} reacts to no metric"
                if not family.plateau
                else f"metric = {self.metric!r} is not allowed: it is a name"
            )
        if family.plateau and self.metric == WATCHED[str(params["mode"])]:
            object.__setattr__(self, "metric", None)

    def __hash__(self) -> int:
        return hash(self.to_json())

    def __reduce__(self) -> tuple[Any, ...]:
        fields = (self.family, self.peak_lr, dict(self.params), self.warmup)
        return Schedule, (*fields, self.step_unit, self.evals, self.metric)

    @property
    def reacts_to_metric(self) -> bool:
        """Whether the scheduler has a second clock, `step(metric)` at each evaluation."""
        return find_family(self.family).plateau

    @property
    def monitor(self) -> str | None:
        """What it watches, such as "val_loss"; None for a schedule that reacts to no metric."""
        if not self.reacts_to_metric:
            return None
        return self.metric or WATCHED[str(self.params["mode"])]

    def build(
        self,
        optimizer: "Optimizer",
        total_steps: int | None = None,
        *,
        epochs: float | None = None,
        steps_per_epoch: float | None = None,
        evals: int | None = None,
        last_epoch: int = -1,
    ) -> "LRScheduler":
        """Build the real torch scheduler, and put its first rates into the optimizer.

        The parameter group with the highest rate gets `peak_lr`; the others keep their ratio to it.
        Call `scheduler.step()` after each `optimizer.step()`; a schedule that reacts to a metric
        also takes `scheduler.step(metric)` after each evaluation.

        Args:
            optimizer: any torch optimizer.
            total_steps: how often `step()` will be called in the training: its optimizer steps, or
                its epochs for a schedule with `step_unit="epoch"`.
            epochs: the same in epochs, instead of total_steps.
            steps_per_epoch: with epochs, the optimizer steps of one; not for `step_unit="epoch"`.
            evals: evaluations in the training (default: the schedule's own).
            last_epoch: -1 for a new training; k to go on after k + 1 steps, as in torch. A schedule
                that reacts to a metric resumes with `load_state_dict` only.

        Raises:
            ScheduleError: a horizon that is too short, or an optimizer that does not fit.
        """
        total_steps = horizon_of(total_steps, epochs, steps_per_epoch, self.step_unit)
        if not -1 <= last_epoch < total_steps:
            allowed = f"from -1 up to {total_steps - 1}"
            raise ScheduleError(f"last_epoch = {last_epoch} is not allowed: {allowed}")
        if evals is not None and evals < 1:
            raise ScheduleError(f"evals = {evals} is not allowed: at least one evaluation")
        if last_epoch >= 0 and self.reacts_to_metric:
            raise ScheduleError(
                f"{self.family} reacts to metrics that last_epoch does not tell: "
                "build it with last_epoch=-1, then scheduler.load_state_dict(...)"
            )
        from schedsearch.schedules.build import compose, go_on, install_peaks  # torch

        peaks = install_peaks(optimizer, self.peak_lr)
        try:
            scheduler = compose(
                find_family(self.family),
                self.params,
                optimizer,
                total_steps=total_steps,
                evals=evals or self.evals,
                peaks=peaks,
                warmup_frac=self.warmup.frac if self.warmup else 0.0,
                warmup_start=self.warmup.start_factor if self.warmup else 1.0,
            )
        except (ValueError, TypeError) as error:  # torch refuses the optimizer
            raise ScheduleError(f"{self.family}: {error}") from error
        go_on(scheduler, last_epoch + 1)
        return scheduler

    def trace(
        self,
        total_steps: int | None = None,
        *,
        epochs: float | None = None,
        steps_per_epoch: float | None = None,
        metrics: Sequence[float] | None = None,
        evals: int | None = None,
    ) -> list[float]:
        """Return the rate of each step of a training, by stepping the real scheduler.

        Args:
            total_steps: the horizon, in the schedule's step_unit.
            epochs: the horizon in epochs instead; see `build`.
            steps_per_epoch: with epochs, the optimizer steps of one.
            metrics: for a schedule that reacts to one, its value at each evaluation.
            evals: evaluations in the training (default: as many as there are metrics).

        Raises:
            ScheduleError: metrics that are missing, too few, or not used by this schedule.
        """
        total_steps = horizon_of(total_steps, epochs, steps_per_epoch, self.step_unit)
        if self.reacts_to_metric and metrics is None:
            raise ScheduleError(f"{self.family} reacts to a metric: trace() needs metrics=")
        if metrics is not None and not self.reacts_to_metric:
            raise ScheduleError(f"{self.family} reacts to no metric: leave metrics= out")
        due: dict[int, float] = {}
        if metrics is not None:
            evals = evals or len(metrics)
            if len(metrics) != evals:
                needed = f"{evals} metrics, one per evaluation"
                raise ScheduleError(f"trace() needs {needed}, not {len(metrics)}")
            due = dict(zip(evaluation_steps(total_steps, evals), metrics, strict=True))
        from schedsearch.schedules.wrappers import lead_optimizer

        optimizer = lead_optimizer(self.peak_lr)
        scheduler = self.build(optimizer, total_steps, evals=evals)
        optimizer.step()  # torch warns of schedulers that are stepped before their optimizer
        rates = [optimizer.param_groups[0]["lr"]]
        for step in range(1, total_steps):
            scheduler.step()
            if step in due:
                cast("PlateauLR", scheduler).step(due[step])
            rates.append(optimizer.param_groups[0]["lr"])
        return [float(rate) for rate in rates]

    def plot(
        self,
        total_steps: int | None = None,
        *,
        epochs: float | None = None,
        steps_per_epoch: float | None = None,
        evals: int | None = None,
        axes: "Axes | None" = None,
    ) -> "Axes":
        """Draw the rates of a training with matplotlib: 1000 steps, if nothing else is said."""
        total_steps = 1000 if total_steps is None and epochs is None else total_steps
        steps = horizon_of(total_steps, epochs, steps_per_epoch, self.step_unit)
        unit = Unit(steps_per_epoch if self.step_unit == "step" else None)
        return draw_rates(self, steps, evals=evals, axes=axes, unit=unit)

    def _repr_html_(self) -> str:
        return as_html(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the schedule as values that JSON can hold, exactly."""
        rise = self.warmup
        warmup = rise and {"frac": rise.frac, "start_factor": rise.start_factor}
        return {
            "format": FORMAT,
            "version": VERSION,
            "family": self.family,
            "peak_lr": self.peak_lr,
            "params": {k: list(v) if isinstance(v, tuple) else v for k, v in self.params.items()},
            "warmup": warmup,
            "step_unit": self.step_unit,
            "evals": self.evals,
        } | ({} if self.metric is None else {"metric": self.metric})

    def to_json(self) -> str:
        """Return the schedule as JSON, exact to the last bit."""
        return json.dumps(self.to_dict(), allow_nan=False)

    @classmethod
    def from_dict(cls, data: Any) -> "Schedule":
        """Return the schedule that `to_dict` wrote; nothing is executed.

        Raises:
            ScheduleError: another kind of table, another version, or a value that is not allowed.
        """
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise ScheduleError(f'this is no schedule: it lacks "format": "{FORMAT}"')
        if data.get("version") != VERSION:
            raise ScheduleError(other_version("this schedule", data.get("version"), VERSION))
        names = {"family", "peak_lr", "params", "warmup", "step_unit", "evals"}
        for name in data.keys() - names - {"format", "version", "metric"}:
            raise ScheduleError(unknown("key of a schedule", name, sorted({*names, "metric"})))
        for name in sorted(names - data.keys()):
            raise ScheduleError(f"this schedule lacks the key {name!r}")
        warmup, params = data["warmup"], data["params"]
        if not isinstance(params, dict) or not isinstance(data["family"], str):
            raise ScheduleError("family must be a name and params a table of names and values")
        if warmup is not None and (not isinstance(warmup, dict) or "frac" not in warmup):
            raise ScheduleError("warmup must be null or a table with frac and start_factor")
        for name in (warmup or {}).keys() - {"frac", "start_factor"}:
            raise ScheduleError(unknown("key of warmup", name, ("frac", "start_factor")))
        warm = Warmup(**warmup) if warmup else None
        rest = (data["step_unit"], data["evals"], data.get("metric"))
        return cls(data["family"], data["peak_lr"], params, warm, *rest)

    @classmethod
    def from_json(cls, text: str) -> "Schedule":
        """Return the schedule that `to_json` wrote; nothing is executed."""
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ScheduleError(f"this is no complete JSON: {error}") from error
        return cls.from_dict(data)
