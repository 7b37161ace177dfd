"""Where a run is: a folder with its own SQLite file, or a storage URL with a name."""

import errno
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from optuna.storages import RDBStorage

from schedsearch.errors import RunError, StorageError
from schedsearch.files import write_atomically
from schedsearch.store.connect import absolute, masked, open_storage, sqlite_url
from schedsearch.store.reading import attributes_of_studies
from schedsearch.store.records import PREFIX

DATABASE, BEST, POINTER, LOCK = "study.db", "best.json", "storage.json", ".lock"
REPORT = "report.html"
ARTIFACTS, FAILED = "artifacts", "failed"
RUN = f"{PREFIX}run"
"""The attribute of each of a run's studies that holds the run's name."""


@dataclass(frozen=True)
class Place:
    """Where a run is stored.

    Args:
        name: the run's name.
        url: the storage.
        folder: where its files are written; None when it was found by its URL alone.
    """

    name: str
    url: str
    folder: Path | None


def place_run(name: str, runs_dir: Path, url: str | None) -> Place:
    """Make the folder of a run, and return where the run is stored.

    Raises:
        StorageError: the folder cannot be made or written.
        RunError: the folder's run is in another storage.
    """
    folder = runs_dir / name
    pointer = _pointer(folder)
    if url is None and pointer is not None:
        stored = pointer[1]
        raise RunError(f"the run in {folder} is stored in {stored}: say --storage {stored}")
    if url is not None and (folder / DATABASE).exists():
        raise RunError(f"{folder} holds a run in its own {DATABASE}: leave --storage out")
    if url is not None and pointer is not None and pointer[1] != masked(url):
        raise RunError(f"the run in {folder} is stored in {pointer[1]}, not in {masked(url)}")
    make_folder(folder)
    if url is None:
        return Place(name, sqlite_url(folder / DATABASE), folder)
    write_json(folder / POINTER, {"name": name, "storage": masked(url)})
    return Place(name, url, folder)


def make_folder(folder: Path) -> None:
    """Make a run's folder.

    Raises:
        StorageError: the folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        text = f"cannot make the run's folder {folder}: {error.strerror}"
        raise StorageError(f"{text} (name another with --runs-dir)") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StorageError(f"the run's folder {folder} is read-only (see --runs-dir)")


def as_named_inside(place: Place, storage: RDBStorage) -> Place:
    """Return the place under the name in its SQLite file: the folder may have been renamed."""
    names = run_names(storage)
    own_file = place.folder is not None and place.url == sqlite_url(place.folder / DATABASE)
    if own_file and place.name not in names and len(names) == 1:
        return replace(place, name=names.pop())
    return place


def find_place(run: str | Path, runs_dir: Path, url: str | None = None) -> Place:
    """Find a run by its folder, by its name under runs_dir, or by storage URL and name.

    Raises:
        RunError: there is no run.
    """
    if url is not None:
        folder, url = runs_dir / Path(run).name, absolute(url)
        own = _pointer(folder) == (Path(run).name, masked(url))
        return Place(Path(run).name, url, folder if own else None)
    for folder in (Path(run), runs_dir / run):
        if _is_file(folder / DATABASE):
            return Place(folder.resolve().name, sqlite_url(folder / DATABASE), folder)
        pointer = _pointer(folder)
        if pointer is not None:
            return Place(pointer[0], pointer[1], folder)
    if _is_dir(Path(run)):
        raise RunError(f"{run} is no run: it holds neither {DATABASE} nor {POINTER}")
    known = ", ".join(sorted(p.name for p in run_folders(runs_dir))) or "none"
    raise RunError(
        f"there is no run {str(run)!r}: neither a folder nor a name in {runs_dir} ({known})"
    )


def _is_file(path: Path) -> bool:
    return os.path.isfile(path)  # Path.is_file raises for a name that is too long


def _is_dir(path: Path) -> bool:
    return os.path.isdir(path)


def run_folders(runs_dir: Path) -> list[Path]:
    """Return the folders under runs_dir that hold a run."""
    found = (p.parent for pattern in (DATABASE, POINTER) for p in runs_dir.glob(f"*/{pattern}"))
    return sorted(set(found))


def _pointer(folder: Path) -> tuple[str, str] | None:
    try:
        data = json.loads((folder / POINTER).read_text())
        return str(data["name"]), str(data["storage"])
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return None
        raise RunError(f"{folder / POINTER} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{folder / POINTER} cannot be read: {error}") from error


def study_ids(storage: RDBStorage, name: str) -> dict[str, int]:
    """Return the Optuna studies that a run owns: study name -> id, its main one first.

    A run may own several: `name` itself, and others under `name/...`.
    """
    runs = attributes_of_studies(storage, RUN)
    owned = {study: study_id for study, (study_id, run) in runs.items() if run == name}
    return dict(sorted(owned.items(), key=lambda item: (item[0] != name, item[0])))


def open_place(place: Place) -> tuple[Place, RDBStorage]:
    """Open the storage of a run that exists.

    Raises:
        RunError: the storage knows no such run.
    """
    storage = open_storage(place.url, create=False)
    place = as_named_inside(place, storage)
    names = run_names(storage)
    if place.name not in names:
        known = ", ".join(sorted(names)) or "none"
        raise RunError(f"there is no run {place.name!r} in {masked(place.url)} (there: {known})")
    return place, storage


def run_names(storage: RDBStorage) -> set[str]:
    """Return the names of all runs in a storage."""
    return {run for _, run in attributes_of_studies(storage, RUN).values()}


def write_json(path: Path, data: Any) -> None:
    """Write a JSON file in one move.

    Raises:
        StorageError: it cannot be written.
    """
    write_atomically(path, (json.dumps(data, indent=2, allow_nan=False) + "\n").encode())
