"""Process: one training by a command, in a process group of its own."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from schedsearch.training.own.guard import kill_group

_GRACE_SECONDS = 5.0
"""How long a process that is told to terminate has before it is killed."""
_PIECE = 65536
_LONGEST_LINE = 1 << 20


class Process:
    """One training by a command, in a process group of its own.

    Args:
        command: what is started.
        environment: what its environment has beside that of this process.
        log: a file for all that it prints.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.log_path, self._log = log, log.open("wb")
        self.started = time.monotonic()
        self._popen = subprocess.Popen(
            command,
            env={"PYTHONUNBUFFERED": "1", **os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._popen.stdout is not None
        assert self._popen.stderr is not None
        self.out, self.err = self._popen.stdout, self._popen.stderr
        self._rest = {self.out: b"", self.err: b""}  # of a line that is not complete yet
        self.last_error = ""  # line of its standard error
        self._kill_at: float | None = None
        for pipe in self._rest:
            os.set_blocking(pipe.fileno(), False)

    @property
    def group(self) -> int:
        """The process group, which has the number of its first process."""
        return self._popen.pid

    @property
    def seconds(self) -> float:
        """The seconds since it was started."""
        return time.monotonic() - self.started

    @property
    def exit_code(self) -> int:
        """The exit code; minus the number of the signal that ended it."""
        return self._popen.returncode

    def read(self, pipe: IO[bytes]) -> tuple[list[str], bool]:
        """Return the lines that a pipe holds now, and whether more may come."""
        lines: list[str] = []
        while (piece := _piece(pipe)) is not None:
            self._log.write(piece)
            *whole, rest = (self._rest[pipe] + (piece or b"\n")).split(b"\n")
            self._rest[pipe] = b"" if len(rest) > _LONGEST_LINE else rest
            lines += [line.decode(errors="replace") for line in whole]
            if not piece:
                break
        if pipe is self.err:
            shown = [part.strip() for line in lines for part in line.split("\r") if part.strip()]
            self.last_error = shown[-1] if shown else self.last_error
        return lines, piece is None

    def ended(self) -> bool:
        """Return whether its first process has ended; the rest of the group is killed then."""
        if self._popen.poll() is None:
            if self._kill_at is not None and time.monotonic() >= self._kill_at:
                kill_group(self.group)
            return False
        kill_group(self.group)  # what it left running in the background
        return True

    def terminate(self) -> None:
        """Tell it to terminate; it is killed, by a later call of `ended`, if it does not."""
        if self._kill_at is None:
            self._kill_at = time.monotonic() + _GRACE_SECONDS
            kill_group(self.group, signal.SIGTERM)

    def close(self) -> None:
        """Close its pipes and its log."""
        for file in (self.out, self.err, self._log):
            file.close()


def _piece(pipe: IO[bytes]) -> bytes | None:
    """Return what a pipe holds now: None when there is nothing yet, nothing when it is closed."""
    try:
        return os.read(pipe.fileno(), _PIECE)
    except BlockingIOError:
        return None


def end_all(processes: Sequence[Process]) -> None:
    """Terminate processes, and wait until all have ended."""
    for process in processes:
        process.terminate()
    while not all([process.ended() for process in processes]):
        time.sleep(0.01)
    for process in processes:
        process.close()
