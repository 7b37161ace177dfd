"""Frames as text: a table for eyes, CSV and Parquet for programs."""

import io
import sys
from pathlib import Path
from typing import Literal

import pandas as pd

from schedsearch.errors import StorageError

Format = Literal["table", "csv", "parquet"]


def render(frame: pd.DataFrame) -> str:
    """Return a frame as a plain table, with few digits and blanks for what is missing."""
    shown = frame.copy()
    for name in shown.columns:
        if pd.api.types.is_float_dtype(shown[name]):
            shown[name] = [("" if pd.isna(v) else f"{v:.4g}") for v in shown[name]]
        else:
            shown[name] = ["" if pd.isna(v) else str(v) for v in shown[name]]
    return shown.to_string(index=False)


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
    try:
        path.write_bytes(content)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
