"""The version of what a run stores; a run of another version is refused in one line."""

from collections.abc import Mapping
from typing import Any

from schedsearch.errors import RunError, other_version

VERSION = "version"
"""The attribute of a run, behind the prefix, that holds the version of all that it stores."""

RUN_VERSION = 3


def check_version(name: str, attributes: Mapping[str, Any]) -> None:
    """Refuse a run that another version of schedsearch made.

    Args:
        name: the run's name.
        attributes: what it stores of itself, without the prefix; see `Run.attributes`.

    Raises:
        RunError: it is of another version.
    """
    found = attributes.get(VERSION, 1 if _is_of_version_1(attributes) else RUN_VERSION)
    if found == RUN_VERSION:
        return
    if isinstance(found, int) and found < RUN_VERSION:
        raise RunError(
            f"the run {name!r} was made by an older schedsearch: run the study again under another "
            "name (--name), or install the version that made it"
        )
    raise RunError(other_version(f"the run {name!r}", found, RUN_VERSION))


def _is_of_version_1(attributes: Mapping[str, Any]) -> bool:
    """Return whether a run was made before runs had a version: its peak rate was `base_lr`."""
    space = (attributes.get("config") or {}).get("space") or {}
    return "base_lr" in space or "space.base_lr" in (attributes.get("identity") or {})
