"""The command as processes of their own: started, raced, killed. A plugin of pytest."""

import multiprocessing
import os
import runpy
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

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
from schedsearch.cli.app import main
main()
"""


class Process:
    """A process that runs the command."""

    def __init__(self, process: Any, place: Path) -> None:
        self.process, self.place = process, place
        self.pid: int = process.pid

    def ready(self) -> bool:
        """Return whether it has begun, or stands at its gate."""
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
