"""Frames as text: a table for eyes, CSV and Parquet for programs."""

import io
import json
import sys
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from schedsearch.files import write_atomically

Format = Literal["table", "csv", "parquet"]


def render(frame: pd.DataFrame) -> str:
    """Return a frame as a plain table: few digits, blanks for what is missing, text to the left."""
    columns = []
    for name in frame.columns:
        cells = [_cell(value) for value in frame[name]]
        width = max(map(len, [name, *cells]))
        numeric = pd.api.types.is_numeric_dtype(frame[name])
        columns.append([c.rjust(width) if numeric else c.ljust(width) for c in [name, *cells]])
    return "\n".join("  ".join(row).rstrip() for row in zip(*columns, strict=True))


def _cell(value: Any) -> str:
    if pd.isna(value):
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def write_frame(frame: pd.DataFrame, form: Format, path: Path | None) -> None:
    """Write a frame to a file, or to the standard output.

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


def short_params(text: str | None) -> str:
    """Shorten parameters in JSON for a table.

    >>> short_params('{"milestones": [0.51234567, 0.75], "gamma": 0.1}')
    'milestones=[0.512, 0.75] gamma=0.1'
    """
    if text is None or pd.isna(text):
        return ""
    return " ".join(f"{name}={_short(value)}" for name, value in json.loads(text).items())


def _short(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_short, value)) + "]"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
