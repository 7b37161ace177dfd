"""The dashboard of a run that goes on: a process of its own, which takes no time from training."""

import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from schedsearch.search.events import AtRung, Confirming, Event, Note, OnEvent, Started, Trained

_SECONDS_TO_END = 15.0  # the dashboard publishes once more before it ends
_OF_A_RUN = (Started, AtRung, Trained, Confirming)  # events that come once the run exists


class DashboardProcess:
    """Passes a run's events on, and opens the dashboard of the run once the run exists.

    Used as a context manager: an error inside the block ends the dashboard. However this process
    ends, the dashboard ends too, because its standard input is a pipe that closes then.

    Args:
        show: shows the events, and the dashboard's address as a note.
        run: the run's name.
        runs_dir: the folder that holds the run's folder.
        storage: the run's database, if it is not in the run's folder.
        wanted: whether to open a dashboard at all.
    """

    def __init__(
        self, show: OnEvent, run: str, runs_dir: Path, storage: str | None, wanted: bool
    ) -> None:
        self._show, self._wanted = show, wanted
        self._command = [sys.executable, "-m", "schedsearch", "dashboard"]
        self._command += [str(runs_dir / run), "--attached", "--runs-dir", str(runs_dir)]
        self._command += [] if storage is None else ["--storage", storage]
        self._command += [] if on_a_terminal() else ["--no-browser"]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> "DashboardProcess":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self.end()

    def __call__(self, event: Event) -> None:
        """Show an event; the first event of the run itself opens the dashboard."""
        self._show(event)
        if self._wanted and self._process is None and isinstance(event, _OF_A_RUN):
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,  # Ctrl-C goes to the run, which then ends the dashboard
            )
            threading.Thread(target=self._tell, args=(self._process,), daemon=True).start()

    def _tell(self, process: "subprocess.Popen[str]") -> None:
        for line in process.stdout or ():
            self._show(Note(line.rstrip("\n")))

    def stay(self) -> None:
        """Leave the dashboard open until Ctrl-C on a terminal; elsewhere, end it."""
        if self._process is None:
            return
        try:
            if on_a_terminal() and self._process.poll() is None:
                print("The dashboard stays open: Ctrl-C ends it", file=sys.stderr, flush=True)
                self._process.wait()
        except KeyboardInterrupt:
            pass
        finally:
            self.end()

    def end(self) -> None:
        """End the dashboard."""
        if self._process is None or self._process.stdin is None:
            return
        with suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def on_a_terminal() -> bool:
    """Return whether a person sits at a terminal and can press Ctrl-C."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
