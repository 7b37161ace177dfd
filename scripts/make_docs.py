"""Write the generated parts of the README files: between `<!-- generated: NAME -->` and its end."""

import argparse
import re
import sys
from collections.abc import Callable, Mapping
from itertools import takewhile
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from schedsearch.cli.show.json_lines import as_markdown as events
from schedsearch.config import StudyConfig
from schedsearch.config_horizon import Table
from schedsearch.config_space import Range
from schedsearch.report.family_table import as_markdown as families
from schedsearch.tasks.registry import TASKS

ROOT = Path(__file__).parents[1]
PLACE = re.compile(
    r"(<!-- generated: (\w+) -->\n).*?(<!-- end of generated: \2 -->)", flags=re.DOTALL
)
LIMITS = {"ge": "at least {}", "gt": "above {}", "le": "at most {}"}
HEAD = ("key", "type", "default", "meaning", "when to touch it")


def keys() -> str:
    """Return the reference of a study file's keys: a Markdown table for each of its tables."""
    top = {name: field for name, field in StudyConfig.model_fields.items() if not _table(field)}
    parts = [_reference("At the top of the file", top)]
    for name, field in StudyConfig.model_fields.items():
        table = _table(field)
        if table is not None:
            about = (table.__doc__ or "").partition(": ")[2].rstrip(".")
            parts.append(_reference(f"`[{name}]`: {about}", table.model_fields))
    return "\n".join(parts)


def studies() -> str:
    """Return the table of the ready studies, from the comments that their files begin with."""
    lines = ["| file | question | what it takes | what to expect |", "|---|---|---|---|"]
    for path in sorted((ROOT / "studies").glob("*.toml")):
        head = [line.removeprefix("# ") for line in _comments(path.read_text())]
        question, takes, expect = (*head, "")[:3]
        said = expect.removeprefix("Expect: ")
        lines.append(f"| [{path.name}]({path.name}) | {question} | {takes} | {said} |")
    return "\n".join(lines) + "\n"


def _comments(text: str) -> list[str]:
    return list(takewhile(lambda line: line.startswith("# "), text.splitlines()))


def tasks() -> str:
    """Return the table of the ready tasks."""
    lines = ["| task | what it is | models | metrics | target |", "|---|---|---|---|---|"]
    for task in TASKS:
        models = ", ".join(f"`{name}`" for name in task.models)
        named = ("accuracy",) if task.metrics is None else task.metrics
        metrics = ", ".join(f"`{name}`" for name in named)
        name, value = task.target or ("", "")
        about = task.about[0].upper() + task.about[1:]
        lines.append(f"| `{task.name}` | {about}. | {models} | {metrics} | `{name}` {value} |")
    return "\n".join(lines) + "\n"


PARTS: Mapping[str, Callable[[], str]] = {
    "studies": studies,
    "tasks": tasks,
    "keys": keys,
    "families": families,
    "events": events,
}


def _table(field: FieldInfo) -> type[Table] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Table) else None


def _reference(title: str, fields: Mapping[str, FieldInfo]) -> str:
    """Return a heading and the table of some keys."""
    lines = [f"### {title}", "", f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|"]
    for name, field in fields.items():
        meaning, when = _description(name, field)
        cells = (f"`{name}`", _type(field), _default(field), meaning, when)
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _description(name: str, field: FieldInfo) -> tuple[str, str]:
    """Return what a key means, and when to touch it: the two paragraphs of its docstring."""
    paragraphs = (field.description or "").split("\n\n")
    if len(paragraphs) != 2:
        raise SystemExit(f"the key {name!r} needs a docstring of two paragraphs")
    meaning, when = (" ".join(paragraph.split()) for paragraph in paragraphs)
    return meaning, when


def _type(field: FieldInfo) -> str:
    limits = [
        LIMITS[name].format(getattr(limit, name))
        for limit in field.metadata
        for name in LIMITS
        if getattr(limit, name, None) is not None
    ]
    return ", ".join([_words(field.annotation), *limits])


def _words(kind: Any) -> str:
    """Return a type in words.

    >>> _words(int | tuple[int, ...]), _words(Literal["a", "b"]), _words(str | None)
    ('whole number, or a list of them', '`"a"`, `"b"`', 'text')
    """
    if kind == Range:
        return "`[low, high]`, or one number"
    if get_origin(kind) is Annotated:
        base, info = get_args(kind)
        return _type(FieldInfo.from_annotation(Annotated[base, info]))
    if get_origin(kind) is Literal:
        return ", ".join(f'`"{value}"`' for value in get_args(kind))
    if isinstance(kind, UnionType) or get_origin(kind) is not None:
        if get_origin(kind) is dict:
            return "table"
        if get_origin(kind) is tuple:
            return "a list of them"
        kinds = [each for each in get_args(kind) if each is not type(None)]
        return ", or ".join(_words(each) for each in kinds)
    words = {str: "text", int: "whole number", float: "number", bool: "`true`, `false`"}
    return words[kind]


def _default(field: FieldInfo) -> str:
    value = field.get_default()
    if "left out:" in " ".join((field.description or "").split()) or value is None:
        return "left out"
    if field.is_required():
        return "required"
    if isinstance(value, tuple):
        return f"`{list(value)}`"
    if isinstance(value, str):
        return f'`"{value}"`'
    return f"`{value}`" if value != {} else "none"


def written(text: str) -> str:
    """Return a README's text with its generated parts made anew."""
    return PLACE.sub(lambda found: f"{found[1]}{PARTS[found[2]]()}{found[3]}", text)


def readmes() -> list[Path]:
    """Return the README files of the repository."""
    return [ROOT / "README.md", *sorted(ROOT.glob("*/README.md"))]


def main() -> None:
    """Write the parts, or check them; print the files that were old."""
    parser = argparse.ArgumentParser(prog="scripts/docs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if one is old")
    check = parser.parse_args().check
    old = [path for path in readmes() if written(path.read_text()) != path.read_text()]
    for path in old:
        print(path.relative_to(ROOT))
        if not check:
            path.write_text(written(path.read_text()))
    if check and old:
        sys.exit("these README files are old: run scripts/docs")


if __name__ == "__main__":
    main()
