"""The families in words: a list, a Markdown table, and one family in full."""

from schedsearch.schedules.families import DEFAULT_FAMILIES, FAMILIES, find_family
from schedsearch.schedules.family import Family
from schedsearch.schedules.params import Param
from schedsearch.schedules.picture import preview_rates
from schedsearch.schedules.schedule import Schedule

_EXAMPLE_STEPS = 100
_SHOWN_STEPS = (1, 2, 5, 11, 21, 31, 41, 51, 61, 71, 81, 91, 96, 100)


def as_text() -> str:
    """Return a few lines for each family: its torch class, its meaning, its ranges."""
    lines = []
    for family in FAMILIES:
        mark = "  [in the default search]" if family.name in DEFAULT_FAMILIES else ""
        lines += [f"{family.name}{mark}", f"    {family.about}"]
        lines += [f"    torch class      {family.torch_class}"]
        lines += [f"    {param.name:<16} {_range(param)}" for param in family.params]
    return "\n".join(lines) + "\n"


def as_markdown() -> str:
    """Return a Markdown table with one row per family; a star marks the default search."""
    lines = [
        "| family | torch class | what it does | parameters and the ranges searched |",
        "|---|---|---|---|",
    ]
    for family in FAMILIES:
        star = " *" if family.name in DEFAULT_FAMILIES else ""
        params = "; ".join(f"`{p.name}` {_range(p)}" for p in family.params) or "none"
        cells = (f"{family.name}{star}", family.torch_class, family.about, params)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def describe(name: str) -> str:
    """Return all that is known of a family: its formula, its parameters, and its rates.

    Args:
        name: the family's name.

    Raises:
        ScheduleError: no such family.
    """
    family = find_family(name)
    parts = [
        f"{family.name}: {family.about}",
        f"torch class: {family.torch_class or 'not said'}\n"
        f"factor of peak_lr: {family.formula or 'not said'}\n"
        "    (t: the fraction of the horizon that is over, from 0 to 1)",
        _params(family),
        _rates(family),
    ]
    return "\n\n".join(parts) + "\n"


def _range(param: Param) -> str:
    when = f" (when {param.when[0]} is {param.when[1]})" if param.when else ""
    return f"{param.describe()}{when}"


def _params(family: Family) -> str:
    """Return a paragraph for each parameter: meaning and unit, default, ranges."""
    lines = [] if family.params else ["It has no parameters beside peak_lr."]
    for param in family.params:
        lines += [
            f"{param.name}: {param.about or 'no meaning is given'}",
            f"    default   {_number(param.default)}",
            f"    searched  {_range(param)}",
            f"    legal     {param.limits()}",
        ]
    return "\n".join(lines)


def _rates(family: Family) -> str:
    """Return the rates of some steps with the default parameters, from the real scheduler."""
    rates, assumption = preview_rates(Schedule(family.name, 1.0), _EXAMPLE_STEPS)
    head = f"rates in a training of {_EXAMPLE_STEPS} steps, with peak_lr = 1 and all defaults"
    lines = [f"{head}{f' ({assumption})' if assumption else ''}:"]
    lines += [f"    step {step:>3}  {rates[step - 1]:.4g}" for step in _SHOWN_STEPS]
    return "\n".join(lines)


def _number(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_number, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
