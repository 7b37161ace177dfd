"""Frames as text: a table for people, CSV and Parquet for programs."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schedsearch.errors import SchedsearchError, unknown
from schedsearch.files import write_atomically
from schedsearch.imports import lazy

if TYPE_CHECKING:
    import pandas as pd
else:
    pd = lazy("pandas")

FORMATS = ("table", "csv", "parquet")


def find_format(name: str) -> str:
    """Return the name of a format, checked.

    Raises:
        SchedsearchError: no such format.
    """
    if name not in FORMATS:
        raise SchedsearchError(unknown("--format", name, FORMATS))
    return name


def render(frame: pd.DataFrame, width: int | None = None) -> str:
    """Return a frame as a plain table: few digits, blanks for missing values, text to the left.

    Args:
        frame: the frame.
        width: the most characters per line (default: no limit). Columns that do not fit are left
            out, and a last line counts them.

    >>> import pandas as pd
    >>> print(render(pd.DataFrame({"a": ["x", "yz"], "b": [1, 10], "c": [0.5, 2.0]}), width=7))
    a    b
    x    1
    yz  10
    (1 column more in a wider window)
    """
    columns: list[list[str]] = []
    used = -2
    for name in frame.columns:
        cells = [_cell(value) for value in frame[name]]
        wide = max(map(len, [name, *cells]))
        used += 2 + wide
        if columns and width is not None and used > width:
            break
        numeric = pd.api.types.is_numeric_dtype(frame[name])
        columns.append([c.rjust(wide) if numeric else c.ljust(wide) for c in [name, *cells]])
    lines = ["  ".join(row).rstrip() for row in zip(*columns, strict=True)]
    if left_out := len(frame.columns) - len(columns):
        lines.append(f"({left_out} column{'s' * (left_out > 1)} more in a wider window)")
    return "\n".join(lines)


def cells(frame: pd.DataFrame) -> list[list[str]]:
    """Return a frame's rows as text, as `render` shows them."""
    return [[_cell(value) for value in row] for row in frame.itertuples(index=False)]


def _cell(value: Any) -> str:
    if pd.isna(value):
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def write_frame(frame: pd.DataFrame, form: str, path: Path | None) -> None:
    """Write a frame to a file, or to standard output.

    Args:
        frame: the frame.
        form: a name of FORMATS.
        path: the file; None for standard output.

    Raises:
        StorageError: the file cannot be written.
    """
    if form == "parquet":
        buffer = io.BytesIO()
        frame.to_parquet(buffer, index=False)
        content = buffer.getvalue()
    else:
        text = render(frame) + "\n" if form == "table" else frame.to_csv(index=False)
        content = text.encode()
    if path is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    write_atomically(path, content)
