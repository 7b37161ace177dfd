"""Guard: a small process that ends what a search started, however the search ends.

A search that is killed with `kill -9` can clean up nothing by itself. So the guard reads from it,
through a pipe, which process groups it started; when the pipe closes, the guard kills those that
are left and removes the temporary folder. This file is run by its path: it imports no other module
of the package.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path


class Guard:
    """The guard's process, and a temporary folder that lives as long as it is watched.

    Used as a context manager: at the end of the block, and when this process dies, all groups that
    are still watched are killed, and the folder is gone.
    """

    def __enter__(self) -> "Guard":
        self.folder = Path(tempfile.mkdtemp(prefix="schedsearch-"))
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # no Ctrl-C of the terminal reaches it
        )
        return self

    def __exit__(self, *error: object) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)  # if somebody killed the guard

    def watch(self, group: int) -> None:
        """Watch a process group from now on."""
        self._say(group)

    def forget(self, group: int) -> None:
        """Watch a process group no longer: all of it has ended."""
        self._say(-group)

    def _say(self, number: int) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # if somebody killed the guard
            self._process.stdin.write(f"{number}\n".encode())
            self._process.stdin.flush()


def kill_group(group: int, sent: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to all processes of a group, if there are any."""
    with suppress(ProcessLookupError, PermissionError):  # macOS: only zombies are left
        os.killpg(group, sent)


def _main(folder: str) -> None:
    watched: set[int] = set()
    for line in sys.stdin.buffer:
        number = int(line)
        if number > 0:
            watched.add(number)
        else:
            watched.discard(-number)
    for group in watched:
        kill_group(group)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    _main(sys.argv[1])
