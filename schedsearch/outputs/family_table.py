"""The families as a text, and as the table in the README."""

from schedsearch.schedules import DEFAULT_FAMILIES, FAMILIES
from schedsearch.schedules.params import Param


def _range(param: Param) -> str:
    when = f" (when {param.when[0]} is {param.when[1]})" if param.when else ""
    return f"{param.describe()}{when}"


def as_text() -> str:
    """Return a few lines for each family: what it does, its parameters and their ranges."""
    lines = []
    for family in FAMILIES:
        mark = "  [in the default search]" if family.name in DEFAULT_FAMILIES else ""
        lines += [f"{family.name}{mark}", f"    {family.about}"]
        lines += [f"    {param.name:<16} {_range(param)}" for param in family.params]
    return "\n".join(lines) + "\n"


def as_markdown() -> str:
    """Return a Markdown table with a row for each family; a star marks the default search."""
    lines = ["| family | what it does | parameters and the ranges searched |", "|---|---|---|"]
    for family in FAMILIES:
        star = " *" if family.name in DEFAULT_FAMILIES else ""
        params = "; ".join(f"`{p.name}` {_range(p)}" for p in family.params) or "none"
        lines.append(f"| {family.name}{star} | {family.about} | {params} |")
    return "\n".join(lines) + "\n"
