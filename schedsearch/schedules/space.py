"""Space: what a study samples: families with their ranges, the peak rate, and the warm-up."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from schedsearch.errors import ConfigError, ScheduleError, unknown
from schedsearch.imports import import_path
from schedsearch.schedules.families import DEFAULT_FAMILIES, FAMILIES, find_family
from schedsearch.schedules.family import Family
from schedsearch.schedules.params import Float, Param, Suggests, active
from schedsearch.schedules.schedule import WATCHED, Schedule, StepUnit, Warmup

WarmupRule = Literal["none", "optional", "always"]


@dataclass(frozen=True)
class Space:
    """The search space of a study, with every range that is searched."""

    families: tuple[Family, ...]
    peak_lr: Float
    warmup: WarmupRule
    warmup_frac: Float
    warmup_start_factor: float
    step_unit: StepUnit
    evals: int
    watched: Mapping[str, str] = field(default_factory=lambda: dict(WATCHED))

    def with_rates(self, low: float, high: float) -> "Space":
        """Return the space with another range of peak rates."""
        return replace(self, peak_lr=self.peak_lr.narrowed((low, high), "space.peak_lr"))

    def describe(self) -> dict[str, Any]:
        """Return everything that affects sampling, as plain values."""
        return {
            "order": [
                f.name for f in self.families
            ],  # sampled values depend on the order, and Optuna stores it
            "families": {f.name: {p.name: p.describe() for p in f.params} for f in self.families},
            "peak_lr": [self.peak_lr.low, self.peak_lr.high],
            "warmup": self.warmup,
            "warmup_frac": [self.warmup_frac.low, self.warmup_frac.high],
            "warmup_start_factor": self.warmup_start_factor,
            "step_unit": self.step_unit,
            "evals": self.evals,
        } | ({} if self.watched == WATCHED else {"watched": dict(self.watched)})

    def fingerprint(self) -> str:
        """Return 16 hexadecimal digits that change with anything that affects sampling."""
        text = json.dumps(self.describe(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def make_space(
    families: Sequence[str] | str,
    *,
    peak_lr: tuple[float, float],
    warmup: WarmupRule,
    warmup_frac: tuple[float, float],
    warmup_start_factor: float,
    step_unit: StepUnit,
    evals: int,
    ranges: Mapping[str, Mapping[str, Any]] | None = None,
    watched: Mapping[str, str] = WATCHED,
) -> Space:
    """Resolve names and ranges of a study file against the registry.

    Args:
        families: names, or "default", or "all"; `"package.module:ATTRIBUTE"` is imported.
        peak_lr: the peak rates searched, on a logarithmic scale.
        warmup: no warm-up ("none"), a sampled choice ("optional"), or always one ("always").
        warmup_frac: the lengths searched, as fractions of the horizon.
        warmup_start_factor: the first rate as a fraction of the body's first.
        step_unit: "step" or "epoch".
        evals: evaluations of one training.
        ranges: family -> parameter -> [low, high], one value, or the choices.
        watched: what a plateau may watch, by its mode: "min", "max", or both.

    Raises:
        ConfigError: an unknown name, or a range that is not allowed.
    """
    try:
        chosen = [_resolve(name) for name in _names(families)]
        chosen = [_that_watches(f, watched, (ranges or {}).get(f.name, {})) for f in chosen]
        for name in ranges or {}:
            if name not in (f.name for f in chosen):
                raise ScheduleError(
                    unknown("family under [ranges]", name, (f.name for f in chosen))
                )
        narrowed = tuple(_narrowed(f, (ranges or {}).get(f.name, {})) for f in chosen)
        frac = Float("warmup_frac", 0.02, 0.1, 0.05, above=0.0, below=1.0)
        rate = Float("peak_lr", 0.01, 1.0, 0.1, log=True, above=0.0)
        return Space(
            narrowed,
            rate.narrowed(peak_lr, "space.peak_lr"),
            warmup,
            frac.narrowed(warmup_frac, "space.warmup_frac"),
            warmup_start_factor,
            step_unit,
            evals,
            watched,
        )
    except ScheduleError as error:
        raise ConfigError(str(error)) from error


def _names(families: Sequence[str] | str) -> list[str]:
    if families == "default":
        return list(DEFAULT_FAMILIES)
    if families == "all":
        return [f.name for f in FAMILIES]
    names = [families] if isinstance(families, str) else list(families)
    if not names:
        raise ScheduleError("families must name at least one family")
    for name in names:
        if names.count(name) > 1:
            raise ScheduleError(f"families names {name!r} twice")
    return names


def _resolve(name: str) -> Family:
    if ":" in name:
        import_path(name, "family")
    return find_family(name)


def _that_watches(family: Family, watched: Mapping[str, str], ranges: Mapping[str, Any]) -> Family:
    """Return a family whose plateau offers only the modes for which there is a metric."""
    if not family.plateau:
        return family
    asked = ranges.get("mode", ())
    for mode in asked if isinstance(asked, list | tuple) else [asked]:
        if mode in WATCHED and mode not in watched:
            raise ScheduleError(
                f"ranges.{family.name}.mode = {mode!r}: the task reports nothing that a plateau "
                f"could watch in this mode (it watches {', '.join(watched.values())})"
            )
    params = tuple(_offered(p, watched) if p.name == "mode" else p for p in family.params)
    return replace(family, params=params)


def _offered(mode: Param, watched: Mapping[str, str]) -> Param:
    offered = [choice for choice in mode.extremes() if choice in watched]
    return mode if len(offered) == len(mode.extremes()) else mode.narrowed(offered, mode.name)


def _narrowed(family: Family, ranges: Mapping[str, Any]) -> Family:
    names = [p.name for p in family.params]
    for name in ranges:
        if name not in names:
            raise ScheduleError(unknown(f"parameter under [ranges.{family.name}]", name, names))
    params = tuple(
        p.narrowed(ranges[p.name], f"ranges.{family.name}.{p.name}") if p.name in ranges else p
        for p in family.params
    )
    return replace(family, params=params)


def suggest_schedule(trial: Suggests, space: Space) -> Schedule:
    """Sample a schedule from a trial: its family, peak rate, parameters and warm-up.

    The names of a family's parameters begin with the family's name; `peak_lr` and the warm-up are
    shared by all families. A family that rises by itself gets no warm-up.
    """
    names = [family.name for family in space.families]
    name = names[0] if len(names) == 1 else trial.suggest_categorical("family", names)
    family = space.families[names.index(name)]
    peak_lr = space.peak_lr.suggest(trial, "peak_lr")
    params: dict[str, Any] = {}
    for param in family.params:
        if active(param, params):
            params[param.name] = param.suggest(trial, f"{family.name}.{param.name}")
    warmup = None
    if not family.rises and _warm(trial, space.warmup):
        frac = space.warmup_frac.suggest(trial, "warmup_frac")
        warmup = Warmup(frac, space.warmup_start_factor)
    metric = space.watched[params["mode"]] if family.plateau else None
    return Schedule(family.name, peak_lr, params, warmup, space.step_unit, space.evals, metric)


def _warm(trial: Suggests, rule: WarmupRule) -> bool:
    if rule == "optional":
        return bool(trial.suggest_categorical("warmup", ["none", "linear"]) == "linear")
    return rule == "always"
