"""A real PostgreSQL and a real browser, where they are installed. A plugin of pytest."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def closed_port() -> int:
    """Return a port of this machine where nobody answers."""
    return free_port()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Start a private PostgreSQL, and give its URL up to the name of a database."""
    pytest.importorskip("psycopg", reason="psycopg is not installed (schedsearch[postgres])")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = str(found[-1]) if found else shutil.which("initdb")
    if initdb is None:
        pytest.skip("PostgreSQL is not installed: no initdb in /usr/lib/postgresql/*/bin or PATH")
    become: list[str] = []
    if os.getuid() == 0:  # initdb refuses to run as root
        try:
            account = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL doesn't run as root, and there is no user postgres")
        become = ["runuser", "-u", "postgres", "--"]
    with tempfile.TemporaryDirectory(prefix="schedsearch-pg-", dir="/tmp") as temporary:
        root = Path(temporary)
        if become:
            os.chown(root, account.pw_uid, account.pw_gid)
        data, port = root / "data", free_port()

        def call(program: str, *args: str) -> None:
            command = [*become, str(Path(initdb).with_name(program)), "-D", str(data), *args]
            # to a file: the server keeps what it is handed open, and a pipe would never end
            with (root / f"{program}.out").open("a+") as log:
                done = subprocess.run(command, stdout=log, stderr=log, cwd=root, check=False)
                log.seek(0)
                assert done.returncode == 0, log.read()

        call("initdb", "--auth=trust", "--username=postgres", "--no-sync", "--encoding=UTF8")
        options = (
            f"-p {port} -k {root} -c listen_addresses=127.0.0.1 "
            "-c fsync=off -c synchronous_commit=off -c full_page_writes=off"
        )
        call("pg_ctl", "start", "-w", "-t", "60", "-l", str(root / "server.log"), "-o", options)
        try:
            yield f"postgresql+psycopg://postgres@127.0.0.1:{port}"
        finally:
            call("pg_ctl", "stop", "-w", "-m", "immediate")


@pytest.fixture
def database(postgres: str) -> Iterator[str]:
    """Return the URL of an empty database."""
    import psycopg

    name = f"db_{uuid4().hex[:12]}"
    server = postgres.replace("+psycopg", "") + "/postgres"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    yield f"{postgres}/{name}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)")


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Start Chromium without a window."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()
