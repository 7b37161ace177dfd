"""The kinds of parameter that a family has: the range searched, and the legal values."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Protocol, TypeAlias

from schedsearch.errors import ScheduleError
from schedsearch.schedules.numbers import number_in, range_in

Value: TypeAlias = bool | int | float | str | tuple[float, ...]


class Suggests(Protocol):
    """The part of a trial that is needed: optuna.Trial and optuna.trial.FixedTrial both fit."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = ...) -> float:
        """Suggest a float."""

    def suggest_int(self, name: str, low: int, high: int) -> int:
        """Suggest an integer."""

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """Suggest one of the choices."""


@dataclass(frozen=True)
class Float:
    """A real parameter, searched in [low, high].

    Args:
        name: its name.
        low: the lowest value searched.
        high: the highest value searched.
        default: the value of a schedule that does not give one.
        log: whether it is searched on a logarithmic scale.
        above: legal values lie above it.
        at_least: the lowest legal value.
        below: legal values lie below it.
        at_most: the highest legal value.
        when: another parameter and the value of it with which this one has a meaning.
        about: its meaning, with its unit.
    """

    name: str
    low: float
    high: float
    default: float
    log: bool = False
    above: float = -math.inf
    at_least: float = -math.inf
    below: float = math.inf
    at_most: float = math.inf
    when: tuple[str, Value] | None = None
    about: str = ""

    def check(self, value: object, where: str) -> float:
        """Return the value as a float, or raise ScheduleError with the limits."""
        number = number_in(where, value)
        legal = self.above < number < self.below and self.at_least <= number <= self.at_most
        if not legal:
            raise ScheduleError(f"{where} = {number:g} is not allowed: it must be {self.limits()}")
        return number

    def limits(self) -> str:
        """Return the legal values in words."""
        parts = [
            f"{word} {limit:g}"
            for word, limit in (
                ("above", self.above),
                ("at least", self.at_least),
                ("below", self.below),
                ("at most", self.at_most),
            )
            if math.isfinite(limit)
        ]
        return " and ".join(parts) or "any finite number"

    def narrowed(self, value: object, where: str) -> "Float":
        """Return this parameter with the range that a study file gives."""
        low, high = range_in(where, value)
        self.check(low, where)
        self.check(high, where)
        if self.log and low <= 0:
            raise ScheduleError(f"{where} is searched on a logarithmic scale: low must be above 0")
        return replace(self, low=low, high=high, default=min(max(self.default, low), high))

    def suggest(self, trial: Suggests, name: str) -> float:
        """Ask the trial for a value; a range of one point is not asked."""
        if self.low == self.high:
            return self.low
        return trial.suggest_float(name, self.low, self.high, log=self.log)

    def extremes(self) -> tuple[Value, ...]:
        """Return the ends of the searched range."""
        return (self.low, self.high)

    def describe(self) -> str:
        """Return the searched values in words."""
        if self.low == self.high:
            return f"{self.low!r}"
        return f"{self.low!r} to {self.high!r}" + (", log" if self.log else "")


@dataclass(frozen=True)
class Int:
    """A whole-number parameter, searched in [low, high].

    Args:
        name: its name.
        low: the lowest value searched.
        high: the highest value searched.
        default: the value of a schedule that does not give one.
        at_least: the lowest legal value.
        at_most: the highest legal value.
        when: another parameter and the value of it with which this one has a meaning.
        about: its meaning, with its unit.
    """

    name: str
    low: int
    high: int
    default: int
    at_least: int = 1
    at_most: int = 10**6
    when: tuple[str, Value] | None = None
    about: str = ""

    def check(self, value: object, where: str) -> int:
        """Return the value as an int, or raise ScheduleError with the limits."""
        number = number_in(where, value)
        if number != int(number) or not self.at_least <= number <= self.at_most:
            raise ScheduleError(f"{where} = {value!r} is not allowed: it must be {self.limits()}")
        return int(number)

    def limits(self) -> str:
        """Return the legal values in words."""
        return f"a whole number from {self.at_least} to {self.at_most}"

    def narrowed(self, value: object, where: str) -> "Int":
        """Return this parameter with the range that a study file gives."""
        low, high = (self.check(v, where) for v in range_in(where, value))
        return replace(self, low=low, high=high, default=min(max(self.default, low), high))

    def suggest(self, trial: Suggests, name: str) -> int:
        """Ask the trial for a value; a range of one point is not asked."""
        return self.low if self.low == self.high else trial.suggest_int(name, self.low, self.high)

    def extremes(self) -> tuple[Value, ...]:
        """Return the ends of the searched range."""
        return (self.low, self.high)

    def describe(self) -> str:
        """Return the searched values in words."""
        return f"{self.low}" if self.low == self.high else f"{self.low} to {self.high}"


@dataclass(frozen=True)
class Choice:
    """A parameter with a few values; the first choice is the default.

    Args:
        name: its name.
        choices: the values searched.
        legal: all values that are allowed (default: the choices).
        when: another parameter and the value of it with which this one has a meaning.
        about: its meaning.
    """

    name: str
    choices: tuple[bool | int | str, ...]
    legal: tuple[bool | int | str, ...] = ()
    when: tuple[str, Value] | None = None
    about: str = ""

    @property
    def default(self) -> bool | int | str:
        """The first choice."""
        return self.choices[0]

    def check(self, value: object, where: str) -> bool | int | str:
        """Return the value, or raise ScheduleError with what is allowed."""
        for legal in self.legal or self.choices:
            if type(value) is type(legal) and value == legal:
                return legal
        raise ScheduleError(f"{where} = {value!r} is not allowed: it must be {self.limits()}")

    def limits(self) -> str:
        """Return the legal values in words."""
        return f"one of {', '.join(map(repr, self.legal or self.choices))}"

    def narrowed(self, value: object, where: str) -> "Choice":
        """Return this parameter with the choices that a study file gives."""
        values = list(value) if isinstance(value, list | tuple) else [value]
        if not values:
            raise ScheduleError(f"{where} must name at least one choice")
        legal = self.legal or self.choices
        return replace(self, choices=tuple(self.check(v, where) for v in values), legal=legal)

    def suggest(self, trial: Suggests, name: str) -> bool | int | str:
        """Ask the trial for one of the choices; a single choice is not asked."""
        if len(self.choices) == 1:
            return self.choices[0]
        chosen: bool | int | str = trial.suggest_categorical(name, list(self.choices))
        return chosen

    def extremes(self) -> tuple[Value, ...]:
        """Return all searched values."""
        return self.choices

    def describe(self) -> str:
        """Return the searched values in words."""
        return " or ".join(str(c) for c in self.choices)


@dataclass(frozen=True)
class Fractions:
    """A rising list of fractions of the horizon, each in (0, 1).

    Each sampled fraction lies between 10 % and 90 % of the way from the one before it to `high`,
    so that no two coincide and no list is sampled in two orders.

    Args:
        name: its name.
        count: the fewest and the most fractions of a sampled list.
        low: the lowest fraction searched.
        high: the highest fraction searched.
        default: the list of a schedule that does not give one.
        when: another parameter and the value of it with which this one has a meaning.
        about: its meaning, with its unit.
    """

    name: str
    count: tuple[int, int]
    low: float
    high: float
    default: tuple[float, ...]
    when: tuple[str, Value] | None = None
    about: str = ""

    def check(self, value: object, where: str) -> tuple[float, ...]:
        """Return the value as a tuple, or raise ScheduleError."""
        if not isinstance(value, list | tuple) or not value:
            raise ScheduleError(
                f"{where} must be a list of fractions of the horizon, not {value!r}"
            )
        fracs = tuple(number_in(where, v) for v in value)
        rising = all(a < b for a, b in pairwise(fracs))
        if not (rising and fracs[0] > 0 and fracs[-1] < 1):
            raise ScheduleError(f"{where} = {list(fracs)} is not allowed: it must {self.limits()}")
        return fracs

    def limits(self) -> str:
        """Return the legal values in words."""
        return "rise, strictly between 0 and 1"

    def narrowed(self, value: object, where: str) -> "Fractions":
        """Return this parameter with the [low, high] that a study file gives."""
        low, high = range_in(where, value)
        if not 0 < low < high < 1:
            raise ScheduleError(f"{where} must be [low, high] with 0 < low < high < 1")
        return replace(self, low=low, high=high)

    def suggest(self, trial: Suggests, name: str) -> tuple[float, ...]:
        """Ask the trial for the count, then for the way of each fraction towards `high`."""
        lowest, highest = self.count
        count = lowest if lowest == highest else trial.suggest_int(f"{name}.count", lowest, highest)
        fracs: list[float] = []
        for i in range(count):
            start = fracs[-1] if fracs else self.low
            way = trial.suggest_float(f"{name}.{i + 1}", 0.1, 0.9)
            fracs.append(start + way * (self.high - start))
        return tuple(fracs)

    def extremes(self) -> tuple[Value, ...]:
        """Return the shortest and the longest searched list."""
        step = (self.high - self.low) / self.count[1]
        longest = tuple(self.low + i * step for i in range(self.count[1]))
        return (longest[: self.count[0]], longest)

    def describe(self) -> str:
        """Return the searched values in words."""
        return f"{self.count[0]} to {self.count[1]} of them in {self.low!r} to {self.high!r}"


Param: TypeAlias = Float | Int | Choice | Fractions


def active(param: Param, params: Mapping[str, Value]) -> bool:
    """Return whether a conditional parameter has a meaning, given the values of the others."""
    return param.when is None or params.get(param.when[0]) == param.when[1]
