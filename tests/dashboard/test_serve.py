"""The dashboard's server: what it answers, how it ends, and that a run doesn't notice it."""

import re
import shutil
import socket
import sys
import threading
import time
import urllib.error
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from asked import ADDRESS, fetched
from sqlalchemy import create_engine, text

from schedsearch import open_run
from schedsearch.dashboard import serve as dashboard
from schedsearch.dashboard.serve import keep_published, serve
from schedsearch.errors import RunError, SchedsearchError
from schedsearch.store.delete import delete_run

Start = Callable[..., Any]
Command = Callable[..., tuple[int, str, str]]
StudyFile = Callable[..., Path]
Wait = Callable[..., None]


class Served:
    """A dashboard that is served by a thread of this process."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.lines: list[str] = []
        self.error: SchedsearchError | None = None
        self.stop = threading.Event()
        self._options: dict[str, Any] = {"browser": False, "tell": self.lines.append} | options
        self._thread = threading.Thread(target=self._serve, args=(folder,))
        self._thread.start()
        deadline = time.monotonic() + 30
        while self._thread.is_alive() and not ADDRESS.search(self.said()):
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def _serve(self, folder: Path) -> None:
        try:
            serve(open_run(folder), until=self.stop.wait, **self._options)
        except SchedsearchError as error:
            self.error = error

    def said(self) -> str:
        return "\n".join(self.lines)

    def get(self, path: str) -> Any:
        return fetched(self.said(), path)

    def end(self, seconds: float = 20) -> None:
        """Wait for its end."""
        self._thread.join(seconds)
        assert not self._thread.is_alive()


@contextmanager
def serving(folder: Path, **options: Any) -> Iterator[Served]:
    served = Served(folder, **options)
    try:
        yield served
    finally:
        served.stop.set()
        served.end()


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    """Return the folder of a finished run of this test's own."""
    return Path(shutil.copytree(finished, tmp_path / "finished"))


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the dashboard look for news all the time."""
    for pause in ("_SECONDS_IDLE", "_SECONDS_BUSY"):
        monkeypatch.setattr(dashboard, pause, 0.05)
    monkeypatch.setattr(dashboard, "_CORE_FRACTION", 1.0)


def test_it_serves_the_run_and_what_is_published(folder: Path, wait_until: Wait) -> None:
    with serving(folder) as it:
        summaries = it.get("/api/studies")["study_summaries"]
        assert [s["study_name"] for s in summaries] == ["finished", "finished/test"]
        wait_until(lambda: it.get("/api/studies/ID")["note"]["body"])
        study = it.get("/api/studies/ID")
        assert {g["id"] for g in study["plotly_graph_objects"]} >= {"rates-0", "families-0"}
        assert len(study["trials"]) == 8
        assert it.get("/api/meta")["artifact_is_available"] is True
        assert b"<html" in it.get("/dashboard/studies/ID")
        wait_until(lambda: any(t["artifacts"] for t in it.get("/api/studies/ID")["trials"]))
        trial = next(t for t in it.get("/api/studies/ID")["trials"] if t["artifacts"])
        picture = next(a for a in trial["artifacts"] if a["mimetype"] == "image/png")
        place = f"/artifacts/ID/{trial['trial_id']}/{picture['artifact_id']}"
        assert it.get(place).startswith(b"\x89PNG")
    assert it.error is None
    assert len(it.lines) == 1, "an address, and nothing else"


def test_a_port_that_is_taken(folder: Path) -> None:
    with serving(folder) as one, serving(folder) as other:
        ports = [int(ADDRESS.search(it.said())[1].rpartition(":")[2]) for it in (one, other)]  # type: ignore[index]
        assert len({*ports}) == 2, "the next one that is free"
        with pytest.raises(RunError, match=f"^port {ports[0]} of 127.0.0.1 is taken: "):
            serve(open_run(folder), port=ports[0], browser=False)


@pytest.mark.parametrize("host", ["256.1.1.1", "192.0.2.1"])
def test_an_address_that_is_not_this_machine(cli: Command, folder: Path, host: str) -> None:
    code, out, err = cli("dashboard", folder, "--host", host, "--no-browser")
    assert (code, out) == (2, "")
    assert re.fullmatch(rf"schedsearch: cannot listen on port \d+ of '{host}': .+\n", err)


@pytest.mark.parametrize(
    ("host", "warned"), [("0.0.0.0", True), ("127.0.0.2", False), ("localhost", False)]
)
def test_an_open_address_is_warned_of(folder: Path, host: str, warned: bool) -> None:
    with serving(folder, host=host, port=None) as it:
        assert ("no password" in it.said()) is warned
        assert ("delete" in it.said()) is warned


def test_clients_that_go_away_are_not_noticed(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with serving(folder) as it:
        port = int(ADDRESS.search(it.said())[1].rpartition(":")[2])  # type: ignore[index]
        for request in (
            b"",
            b"GET /api/stu",
            b"GET /static/bundle.js HTTP/1.0\r\n\r\n",
            b"\0\r\n\r\n",
        ):
            client = socket.create_connection(("127.0.0.1", port))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # reset
            client.sendall(request)
            client.close()
        assert it.get("/api/studies")
        with pytest.raises(urllib.error.HTTPError):
            it.get("/api/studies/99")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("how", ["delete", "rm"])
def test_it_ends_when_the_run_is_deleted(
    folder: Path, how: str, often: None, capfd: pytest.CaptureFixture[str]
) -> None:
    with serving(folder) as it:
        if how == "rm":
            for file in folder.glob("study.db*"):
                file.unlink()
        else:
            delete_run(open_run(folder))
        it.end()
    assert "there is no run 'finished' any more" in str(it.error)
    assert not (folder / "study.db").exists(), "nor is an empty one made"
    assert "Traceback" not in capfd.readouterr().err


def test_a_storage_that_fails_is_told_once_and_tried_again(
    folder: Path, wait_until: Wait, often: None, capfd: pytest.CaptureFixture[str]
) -> None:
    database = create_engine(open_run(folder).place.url)
    with serving(folder) as it:
        wait_until(lambda: it.get("/api/studies/ID")["note"]["body"])
        with database.begin() as connection:
            connection.execute(text("alter table studies rename to away"))
        wait_until(lambda: len(it.lines) > 1)
        time.sleep(0.3)
        assert len(it.lines) == 2, "once"
        assert it.lines[1].startswith("the storage failed, and is tried again: no such table")
        with pytest.raises(urllib.error.HTTPError):
            it.get("/api/studies/ID")
        with database.begin() as connection:
            connection.execute(text("alter table away rename to studies"))
            gone = "key like 'dashboard:%' or key = 'schedsearch:published'"
            connection.execute(text(f"delete from study_system_attributes where {gone}"))
        wait_until(lambda: it.get("/api/studies/ID")["note"]["body"])
        assert len(it.lines) == 2
    assert it.error is None
    assert "Traceback" not in capfd.readouterr().err
    database.dispose()


def test_a_fault_in_publishing_costs_no_dashboard(folder: Path, wait_until: Wait) -> None:
    (folder / "artifacts").write_text("a file where the folder should be")
    with serving(folder) as it:
        wait_until(lambda: len(it.lines) > 1)
        assert it.lines[1].startswith("not published: FileExistsError")
        assert it.get("/api/studies/ID")["plotly_graph_objects"]


def test_the_last_look_publishes_what_came_since(folder: Path) -> None:
    stop, lines = threading.Event(), list[str]()
    stop.set()
    keep_published(open_run(folder), stop, lines.append)
    run = open_run(folder)
    assert run.attributes["published"]
    assert lines == []


def test_a_run_that_is_watched_does_the_same(
    start: Start, study_file: StudyFile, tmp_path: Path, wait_until: Wait, often: None
) -> None:
    """While a run goes on, its dashboard is open, asked without pause, and published often."""
    search, training = (
        {"sampler": "TPE", "batch": 4},
        {"total_steps": 200, "engine": "reference", "threads": 1},
    )
    file = study_file(name="watched", trials=16, search=search, training=training)
    alone, watched = tmp_path / "alone", tmp_path / "watched"
    assert start("run", file, "--runs-dir", alone).end()[0] == 0
    process = start("run", file, "--runs-dir", watched)
    wait_until(lambda: open_when_made(watched / "watched"))
    asked = 0
    with serving(watched / "watched") as it:
        while process.process.is_alive():
            it.get("/api/studies/ID")
            asked += 1
            time.sleep(0.05)
    code, _, err = process.end()
    assert (code, err) == (0, "")
    assert asked > 3
    columns = ["trial", "family", "state", "peak_lr", "params", "val_loss", "attempt"]
    one, other = (open_run(where / "watched").trials()[columns] for where in (alone, watched))
    assert one.equals(other)
    assert it.lines[1:] == []


def open_when_made(folder: Path) -> bool:
    try:
        return len(open_run(folder).trials()) > 4
    except (SchedsearchError, KeyError):
        return False


def test_a_browser_is_opened_only_where_there_is_a_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = list[str]()
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(webbrowser, "get", lambda: opened.append("asked"))
    assert not dashboard.has_browser()
    monkeypatch.setenv("DISPLAY", ":0")
    assert dashboard.has_browser()
    assert opened == ["asked"], "a browser in a terminal is not even looked for"
