"""Things of the user's own, by import path: `"package.module:ATTRIBUTE"`."""

import importlib
from types import ModuleType
from typing import Any

from schedsearch.errors import ConfigError


def import_path(path: str, kind: str) -> object:
    """Import what a path names.

    Args:
        path: `"package.module:ATTRIBUTE"`.
        kind: what it should be, for the message.

    Raises:
        ConfigError: no such module, or no such attribute in it.

    >>> import_path("math:pi", "number")
    3.141592653589793
    """
    module_name, _, attribute = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except (ImportError, ValueError, TypeError) as error:
        raise ConfigError(f"{kind} {path!r}: cannot import {module_name!r}: {error}") from error
    if not hasattr(module, attribute):
        raise ConfigError(f"{kind} {path!r}: {module_name} has no {attribute!r}")
    return getattr(module, attribute)


class _Lazy:
    """A module that is imported when something of it is first used."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._module: ModuleType | None = None

    def __getattr__(self, attribute: str) -> Any:
        if self._module is None:
            self._module = importlib.import_module(self._name)
        return getattr(self._module, attribute)


def lazy(name: str) -> Any:
    """Return a stand-in for a module that takes long to import; it is imported on first use.

    >>> lazy("math").pi
    3.141592653589793
    """
    return _Lazy(name)
