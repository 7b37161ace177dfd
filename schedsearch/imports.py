"""Things of the user's own, by import path: `"package.module:ATTRIBUTE"`."""

import importlib
import sys
import sysconfig
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from schedsearch.errors import ConfigError, unknown

_MOST_FRAMES = 3
_OURS = Path(__file__).parent
_LIBRARIES = [sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")]
_NOT_THEIRS = tuple(  # as they are named, and where links lead to
    {str(path) for f in (*_LIBRARIES, str(_OURS)) for path in (Path(f), Path(f).resolve())}
)


def import_path(path: str, kind: str) -> object:
    """Import what a path names.

    Args:
        path: `"package.module:ATTRIBUTE"`.
        kind: what it should be, for the message.

    Raises:
        ConfigError: no such module, one that fails when it is imported (the user's own frames are
            the error's note), or no such attribute in it.

    >>> import_path("math:pi", "number")
    3.141592653589793
    """
    module_name, _, attribute = path.partition(":")
    where = f"{kind} {path!r}"
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        if _is_missing(error, module_name):
            raise ConfigError(
                f"{where}: cannot import {module_name!r}: {error} (looked beside the study file, "
                "in the current folder, and in what is installed)"
            ) from error
        raise failed(f"{where}: cannot import {module_name!r}", error) from None
    if not hasattr(module, attribute):
        names = [name for name in vars(module) if not name.startswith("_")]
        hint = unknown("", attribute, names).partition(": ")[2].partition(" (allowed")[0].strip()
        raise ConfigError(f"{where}: {module_name} has no {attribute!r}{hint and f': {hint}'}")
    return getattr(module, attribute)


def _is_missing(error: BaseException, module: str) -> bool:
    """Return whether the module itself is not there, rather than one that it imports."""
    if isinstance(error, ModuleNotFoundError):
        return bool(error.name) and f"{module}.".startswith(f"{error.name}.")
    return not module or module.startswith(".")


def failed(what: str, error: BaseException) -> ConfigError:
    """Return the error for code of the user's own that failed, in one line; its note has frames.

    The frames of this package, of Python's library and of what is installed are left out.

    Args:
        what: what was asked of that code.
        error: what it raised.
    """
    last = traceback.format_exception_only(error)[-1].strip()
    found = ConfigError(f"{what}: {' '.join(last.split())[:300]}")
    frames = _their_frames(error)
    lines = traceback.format_list(frames[-_MOST_FRAMES:]) + traceback.format_exception_only(error)
    if frames or isinstance(error, SyntaxError):
        found.add_note("".join(lines).rstrip())
    return found


def place_of(error: BaseException) -> str:
    """Return where in the user's own code an error was raised; empty: in none of it."""
    frames = _their_frames(error)
    return f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""


def _their_frames(error: BaseException) -> list[traceback.FrameSummary]:
    return [f for f in traceback.extract_tb(error.__traceback__) if _is_theirs(f.filename)]


def _is_theirs(file: str) -> bool:
    return not file.startswith(("<", *_NOT_THEIRS))


def find_beside(file: Path) -> None:
    """Let modules that lie beside a file be imported, before all others.

    Args:
        file: a study file.
    """
    folder = str(file.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)


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
