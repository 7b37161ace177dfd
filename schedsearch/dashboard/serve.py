"""The Optuna dashboard on a run's storage, with what is published of the run on its pages."""

import ipaddress
import logging
import os
import socket
import sys
import threading
import time
import urllib.request
import webbrowser
from collections.abc import Callable
from pathlib import Path

from optuna.artifacts import FileSystemArtifactStore
from optuna.exceptions import StorageInternalError
from optuna_dashboard import wsgi
from sqlalchemy.exc import SQLAlchemyError

from schedsearch.dashboard.publish import publish, state_of
from schedsearch.dashboard.server import Server, make_server
from schedsearch.errors import RunError, SchedsearchError
from schedsearch.store.connect import sqlite_url
from schedsearch.store.place import ARTIFACTS, DATABASE, study_ids
from schedsearch.store.run import Run

Tell = Callable[[str], None]

_SECONDS_BUSY = 3.0  # between two looks while trials are trained
_SECONDS_IDLE = 10.0  # between two looks while none is: somebody may resume the run
_SECONDS_DRAWING = 0.5  # the most that a look may spend on pictures
_SECONDS_AT_LAST = 1.0  # the most that the last look may spend on pictures
_SECONDS_TO_END = 8.0  # the most that the last look may take
_CORE_FRACTION = 0.05  # the most of a core that publishing takes while trials are trained


def serve(
    run: Run,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    browser: bool = True,
    tell: Tell = print,
    until: Callable[[], object] | None = None,
) -> None:
    """Serve the dashboard of a run until Ctrl-C, and keep its pages up to date.

    Args:
        run: the run.
        host: the address to listen on.
        port: the port; None for 8080, or the next free one.
        browser: whether to open a browser, if there is one.
        tell: called with each line that a person should read.
        until: called in a thread; the dashboard ends when it returns.

    Raises:
        RunError: the run is just being made, or gone; or the port is taken.
    """
    _ = run.config  # raises if the run is just being made
    study_id = study_ids(run.storage, run.name)[run.name]
    folder = run.place.folder
    store = None if folder is None else FileSystemArtifactStore(folder / ARTIFACTS)
    logging.getLogger("optuna_dashboard").setLevel(logging.CRITICAL)  # it logs tracebacks
    server = make_server(wsgi(run.reader, artifact_store=store), host, port)
    url = f"{_address(server)}/dashboard/studies/{study_id}"
    if not _is_loopback(host):
        tell(
            f"warning: the dashboard on {host} asks for no password: whoever reaches it can read "
            "and delete all studies of the storage"
        )
    if store is None:
        tell("no pictures and curves of single trials: a run found by its URL has no folder")
    tell(f"dashboard: {url}")
    stop, failed = threading.Event(), list[SchedsearchError]()

    def look() -> None:
        try:
            keep_published(run, stop, tell)
        except SchedsearchError as error:
            failed.append(error)
            server.shutdown()

    def end() -> None:
        if until is not None:
            until()
            server.shutdown()

    publisher = threading.Thread(target=look, name="publisher", daemon=True)
    try:
        publisher.start()
        threading.Thread(target=end, daemon=True).start()
        if browser and has_browser():
            threading.Thread(target=_open, args=(url,), daemon=True).start()
        server.serve_forever()
    except KeyboardInterrupt:
        pass  # the way to end it
    finally:
        stop.set()
        server.server_close()
        publisher.join(_SECONDS_TO_END)
    if failed:
        raise failed[0]


def keep_published(run: Run, stop: threading.Event, tell: Tell) -> None:
    """Publish the changes of a run every few seconds until `stop` is set, and once more then.

    If the storage fails, `tell` is called once and the storage is tried again.

    Raises:
        RunError: the run is gone.
    """
    seen, told = None, ""
    while True:
        began, text, trained, last = time.monotonic(), "", True, stop.is_set()
        try:
            _see_file(run)
            now = state_of(run)
            if now != seen:
                drawing = _SECONDS_AT_LAST if last else _SECONDS_DRAWING
                seen = now if publish(run, _folder(run), drawing) else None
            trained = bool(run.being_trained())
        except SchedsearchError:
            raise
        except (SQLAlchemyError, StorageInternalError) as error:
            seen, text = None, f"the storage failed, and is tried again: {_line(error)}"
        except KeyError as error:  # a study that was deleted while it was read, or a bug
            seen, text = None, f"not published: {_line(error)}"
        except Exception as error:
            seen, text = None, f"not published: {type(error).__name__}: {_line(error)}"
        if text and text != told:
            tell(text)
        told = text
        if last:
            return
        pause = _SECONDS_BUSY if trained or seen is None else _SECONDS_IDLE
        fraction = _CORE_FRACTION if trained else 0.5
        stop.wait(max(pause, (time.monotonic() - began) / fraction))


def _folder(run: Run) -> Path | None:
    return None if run.place.folder is None else run.place.folder / ARTIFACTS


def _see_file(run: Run) -> None:
    """Raise RunError if the run's file was deleted: an open file can still be read."""
    folder = run.place.folder or Path()
    own = run.place.folder is not None and run.place.url == sqlite_url(folder / DATABASE)
    if own and not (folder / DATABASE).is_file():
        raise RunError(f"there is no run {run.name!r} any more: {folder / DATABASE} is gone")


def _line(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error.__cause__ or error
    return " ".join(str(getattr(cause, "orig", None) or cause).split())[:200]


def _address(server: Server) -> str:
    host, port = str(server.server_address[0]), server.server_port
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def has_browser() -> bool:
    """Return whether this machine can show a browser; one inside a terminal does not count."""
    if sys.platform not in ("win32", "darwin") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        return False
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


def _open(url: str) -> None:
    """Open a page, once the server answers."""
    with urllib.request.urlopen(url, timeout=60):
        webbrowser.open(url)
