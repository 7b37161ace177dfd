"""Open the Optuna storage: SQLite in WAL mode in the run's folder, or any database by URL."""

import logging
import re
import sqlite3
import time
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import RDBStorage
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from schedsearch.errors import StorageError

_CREATE_ATTEMPTS = 5  # of two processes that create the same tables at once, one fails


class _WalConnection(sqlite3.Connection):
    """Write-ahead log: readers never wait for the writer, and a commit needs no flush to disk.

    What was committed survives the end of the process, however it ends.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.execute("PRAGMA busy_timeout = 60000")
        self.execute("PRAGMA journal_mode = WAL")
        self.execute("PRAGMA synchronous = NORMAL")


class _KeptConnection(_WalConnection):
    """Opens an existing file only: one that was deleted meanwhile is not created anew, empty."""

    def __init__(self, database: str, *args: Any, **kwargs: Any) -> None:
        if not Path(database).is_file():
            raise sqlite3.OperationalError(f"the file {database} is gone")
        super().__init__(database, *args, **kwargs)


def sqlite_url(path: Path) -> str:
    """Return the URL of a SQLite file.

    >>> sqlite_url(Path("/tmp/why?/study.db"))
    'sqlite:////tmp/why%3F/study.db'
    """
    return URL.create("sqlite", database=str(path.resolve())).render_as_string()


def masked(url: str) -> str:
    """Return a URL without its password, for messages and files.

    >>> masked("postgresql://ann:secret@db/studies?password=secret")
    'postgresql://ann@db/studies'
    >>> masked("postgresql://ann:secret@db:port/studies")
    'postgresql://db:port/studies'
    """
    try:
        known = make_url(url)
    except (ArgumentError, ValueError):
        return re.sub(r"//[^/]*@", "//", url)
    query = {k: v for k, v in known.query.items() if "pass" not in k.lower()}
    return URL.create(
        known.drivername, known.username, None, known.host, known.port, known.database, query
    ).render_as_string()


def absolute(url: str) -> str:
    """Return the URL of a SQLite file with its absolute path; any other URL unchanged.

    >>> absolute("postgresql://ann@db/studies")
    'postgresql://ann@db/studies'
    """
    file = _sqlite_file(url)
    return url if file is None else sqlite_url(file)


def _sqlite_file(url: str) -> Path | None:
    try:
        known = make_url(url)
    except (ArgumentError, ValueError):
        return None
    if known.get_backend_name() != "sqlite" or known.query or known.database in (None, ":memory:"):
        return None
    return Path(str(known.database))


def open_storage(url: str, *, create: bool = True) -> RDBStorage:
    """Open a storage, and create its tables if they are missing.

    Args:
        url: a database URL.
        create: whether to create a SQLite file that does not exist.

    Raises:
        StorageError: the URL is no database's, its driver is missing, or the database does not
            answer or cannot be written.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)  # it warns of errors that it raises
    try:
        arguments = _connect_args(url, create)
    except (ArgumentError, ValueError) as error:
        raise StorageError(f"{masked(url)!r} is no URL of a database") from error
    file = _sqlite_file(url)
    if not create and file is not None and not file.is_file():
        raise StorageError(f"the storage {masked(url)} does not exist")
    for attempt in range(1, _CREATE_ATTEMPTS + 1):
        try:
            return RDBStorage(url, engine_kwargs={"connect_args": arguments})
        except (ArgumentError, NoSuchModuleError) as error:
            raise StorageError(f"{masked(url)!r} is no URL of a database ({error})") from error
        except ImportError as error:
            raise StorageError(
                f"no driver for {masked(url)}: {' '.join(str(error).split())[:150]} "
                "(PostgreSQL: pip install 'schedsearch[postgres]')"
            ) from error
        except (SQLAlchemyError, RuntimeError, ValueError, OSError) as error:
            if attempt == _CREATE_ATTEMPTS or not _may_be_a_race(error):
                hint = " (the password belongs into --storage, or into ~/.pgpass)"
                asks = "password" in str(error).lower()
                text = f"the storage {masked(url)} {_reason(error)}{hint * asks}"
                raise StorageError(text) from error
            time.sleep(0.2 * attempt)
    raise AssertionError("unreachable")


def _connect_args(url: str, create: bool) -> dict[str, Any]:
    backend = make_url(url).get_backend_name()
    if backend == "sqlite":
        kept = not create and _sqlite_file(url) is not None
        return {"factory": _KeptConnection if kept else _WalConnection}
    return {"connect_timeout": 10} if backend in ("postgresql", "mysql") else {}


def _may_be_a_race(error: Exception) -> bool:
    text = str(error).lower()
    return "already exists" in text or "unique" in text or "duplicate" in text


def _reason(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error.__cause__ or error
    text = " ".join(str(cause).split())[:200]
    return f"does not answer as a database that can be written: {text}"
