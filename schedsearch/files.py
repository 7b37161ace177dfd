"""Write files in one move: a reader sees the old or the new one, never a half; numbers for JSON."""

import math
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from schedsearch.errors import StorageError


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file beside its place, then move it there.

    Raises:
        StorageError: it cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise StorageError(f"cannot write {path}: {error.strerror}") from error


def finite(value: Any) -> Any:
    """Return a value for JSON, in which a number that is not finite is null.

    >>> finite({"loss": float("nan"), "steps": [1, 2.5]})
    {'loss': None, 'steps': [1, 2.5]}
    """
    if isinstance(value, dict):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
