"""Write files in one move: a reader sees the old one or the new one, never a half."""

import os
from contextlib import suppress
from pathlib import Path

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
