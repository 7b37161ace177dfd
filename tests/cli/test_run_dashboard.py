"""`schedsearch run --dashboard`: a dashboard beside the run, which ends with it."""

import os
import pty
import select
import signal
import subprocess
import sys
import time
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from asked import ADDRESS, fetched

Start = Callable[..., Any]
StudyFile = Callable[..., Path]
Wait = Callable[..., None]

LONG = {"trials": 400, "search": {"sampler": "random", "batch": 2}}


def output(process: Any) -> str:
    file: Path = process.place.with_suffix(".out")
    return file.read_text() if file.exists() else ""


def test_a_run_that_is_interrupted_leaves_no_dashboard_behind(
    start: Start, study_file: StudyFile, runs_dir: Path, wait_until: Wait
) -> None:
    command = ("run", study_file(name="r", **LONG), "--runs-dir", runs_dir, "--dashboard")
    process = start(*command)
    wait_until(lambda: ADDRESS.search(output(process)))
    assert fetched(output(process), "/api/studies/ID")["name"] == "r"
    (child,) = [
        child for child in psutil.Process(process.pid).children() if "--attached" in child.cmdline()
    ]
    assert child.nice() >= 10
    os.kill(process.pid, signal.SIGINT)
    code, _, err = process.end()
    assert not psutil.pid_exists(child.pid)
    assert code == 130
    assert err.startswith("schedsearch: interrupted: finished trials are kept")
    assert len(err.splitlines()) == 1


def test_on_a_terminal_the_dashboard_stays_until_ctrl_c(
    study_file: StudyFile, runs_dir: Path
) -> None:
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "schedsearch", "run", study_file(name="r", trials=2)),
            *("--runs-dir", runs_dir, "--dashboard", "--no-report"),
        ],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        env={**os.environ, "COLUMNS": "200", "TERM": "xterm"},
    )
    os.close(slave)
    said, deadline = "", time.monotonic() + 90
    try:
        while not (ADDRESS.search(said) and "stays open" in said):
            assert time.monotonic() < deadline, said
            if select.select([master], [], [], 0.1)[0]:
                said += os.read(master, 65536).decode(errors="replace")
        assert "best.json" in said
        assert fetched(said, "/api/studies/ID")["name"] == "r"
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(90) == 0
        with pytest.raises(urllib.error.URLError):
            fetched(said, "/api/meta")
    finally:
        process.kill()
        process.wait()
        os.close(master)
