"""What the tests share: tiny studies on real data, the command, and a real PostgreSQL."""

import json
import multiprocessing
import os
import pwd
import runpy
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import hypothesis
import optuna
import pytest

from schedsearch import StudyConfig, run_study
from schedsearch.cli import main
from schedsearch.config import parse_config
from schedsearch.launch import Outcome

if TYPE_CHECKING:
    from playwright.sync_api import Browser
# No property is one of wall time: a busy machine is no counterexample.
hypothesis.settings.register_profile("schedsearch", deadline=None)
hypothesis.settings.load_profile("schedsearch")

# What a tiny study draws follows from these, and from their order.
EIGHT = (
    *("Constant", "StepLR", "MultiStepLR", "ExponentialLR", "LinearLR", "CosineAnnealingLR"),
    *("OneCycleLR", "ReduceLROnPlateau"),
)

# 60 steps of the small perceptron: some 30 ms a trial.
TINY: dict[str, Any] = {
    "name": "tiny",
    "task": "digits",
    "model": "mlp",
    "families": list(EIGHT),
    "trials": 4,
    "training": {"total_steps": 60, "evals_per_run": 5},
    "space": {"base_lr": [0.01, 1.0]},
    "search": {"sampler": "random", "batch": 2},
    "fidelity": {"kind": "full"},
    "confirmation": {"seeds": 0},
}


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Give a study's tables with changes; those inside [training], [space], [search] one by one."""
    result = dict(base)
    for key, value in changes.items():
        inside = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if inside else value
    return result


def toml(table: Mapping[str, Any], path: str = "") -> str:
    """Write a study's tables as TOML (whose strings, numbers and lists are those of JSON)."""
    lines = [f"{k} = {json.dumps(v)}" for k, v in table.items() if not isinstance(v, dict)]
    for key, value in table.items():
        if isinstance(value, dict):
            name = f"{path}{json.dumps(key)}"
            lines += [f"[{name}]", toml(value, f"{name}.")]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="session")
def make_config() -> Callable[..., StudyConfig]:
    """Return a maker of tiny studies, with what is to differ."""

    def make(**changes: Any) -> StudyConfig:
        return parse_config(merged(TINY, changes))

    return make


@pytest.fixture
def study_file(tmp_path: Path) -> Callable[..., Path]:
    """Return a writer of tiny study files, with what is to differ (also what is not allowed)."""

    def write(**changes: Any) -> Path:
        path = tmp_path / f"{uuid4().hex[:8]}.toml"
        path.write_text(toml(merged(TINY, changes)))
        return path

    return write


@pytest.fixture
def runs_dir(tmp_path: Path) -> Path:
    """Return where this test's runs are; not made yet."""
    return tmp_path / "runs"


@pytest.fixture
def launch(make_config: Callable[..., StudyConfig], runs_dir: Path) -> Callable[..., Outcome]:
    """Return `run_study` for tiny studies; `run_options` are its own."""

    def run(*, run_options: Mapping[str, Any] | None = None, **changes: Any) -> Outcome:
        options: dict[str, Any] = {"runs_dir": runs_dir, "device": "cpu", "report": False}
        return run_study(make_config(**changes), **(options | dict(run_options or {})))

    return run


@pytest.fixture(scope="session")
def finished(
    make_config: Callable[..., StudyConfig], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return the folder of a run to read from: 8 finished trials of eight families."""
    runs = tmp_path_factory.mktemp("runs")
    config = make_config(name="finished", trials=8, search={"batch": 4})
    outcome = run_study(config, runs_dir=runs, device="cpu", report=False)
    outcome.run.storage.engine.dispose()
    return outcome.best_path.parent


@pytest.fixture
def cli(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Return the command, called in this process: exit code, standard output, standard error."""

    def call(*args: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["schedsearch", *map(str, args)])
        monkeypatch.setenv("COLUMNS", "200")
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        out, err = capsys.readouterr()
        return code, out, err

    return call


# What `python -m schedsearch` does, in a process forked from one that has imported all there is.
# It says that it is ready, and begins when a gate is there: processes that race start together.
CHILD = """
import os, signal, sys, time
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)
for number, name in ((1, "out"), (2, "err")):
    os.dup2(os.open(f"{place}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), number)
Path(f"{place}.ready").touch()
while gate is not None and not Path(gate).exists():
    time.sleep(0.001)
sys.argv = ["schedsearch", *arguments]
from schedsearch.cli import main
main()
"""


class Process:
    """A process that runs the command."""

    def __init__(self, process: Any, place: Path) -> None:
        self.process, self.place = process, place
        self.pid: int = process.pid

    def ready(self) -> bool:
        """Say whether it has begun, or stands at its gate."""
        return self.place.with_suffix(".ready").exists()

    def kill(self) -> None:
        """End it with `kill -9`."""
        self.process.kill()
        self.process.join()

    def end(self, seconds: float = 60.0) -> tuple[int, str, str]:
        """Wait for its end: exit code, standard output, standard error."""
        self.process.join(seconds)
        assert self.process.exitcode is not None, f"it still runs after {seconds:g} s"
        texts = (self.place.with_suffix(suffix).read_text() for suffix in (".out", ".err"))
        return (self.process.exitcode, *texts)


@pytest.fixture(scope="session")
def forks() -> Any:
    """Return a context that forks from a process in which all imports are done."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["schedsearch.launch", "schedsearch.cli", "psycopg"])
    return context


@pytest.fixture
def start(forks: Any, tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Return a starter of the command as a process; one that is left at the end is killed."""
    started: list[Process] = []
    script = tmp_path / "child.py"
    script.write_text(CHILD)

    def begin(*args: object, gate: Path | None = None) -> Process:
        place = tmp_path / f"process-{len(started)}"
        given = {
            "arguments": [str(a) for a in args],
            "gate": gate and str(gate),
            "place": str(place),
        }
        process = forks.Process(target=runpy.run_path, args=(str(script), given, "__main__"))
        process.start()
        started.append(Process(process, place))
        return started[-1]

    yield begin
    for process in started:
        process.kill()


@pytest.fixture
def race(
    start: Callable[..., Process], tmp_path: Path, wait_until: Callable[..., None]
) -> Callable[..., list[tuple[int, str, str]]]:
    """Return a runner of commands that all begin at the same moment; it gives how each ended."""

    def run(*commands: tuple[object, ...]) -> list[tuple[int, str, str]]:
        gate = tmp_path / f"gate-{uuid4().hex[:8]}"
        processes = [start(*command, gate=gate) for command in commands]
        wait_until(lambda: all(process.ready() for process in processes))
        gate.touch()
        return [process.end() for process in processes]

    return run


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., None]:
    """Return a waiter for something to become true."""

    def wait(condition: Callable[[], object], seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not come true in time"
            time.sleep(0.01)

    return wait


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
    """Give the URL of an empty database."""
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


@pytest.fixture(autouse=True)
def _optuna_is_quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
