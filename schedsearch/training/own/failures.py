"""Failures: what becomes of a training that failed, and what is kept of it."""

from collections.abc import Callable
from pathlib import Path

from schedsearch.errors import TrainingError
from schedsearch.training.recipe import Ended, OnEnd

_IN_A_ROW = 3


class Failures:
    """Decides what becomes of a training that failed: the study stops, or it counts as diverged.

    The study stops where no training has succeeded yet, and at the third failure in a row. Until
    then the failures of a row are held back where that is possible: if the study stops, they were
    the fault of the machine, and are trained again.

    Args:
        folder: where the schedules and outputs of trainings that failed are kept.
        proven: whether a training of the run has succeeded before.
        note: told, in a line, of each failure that counts as diverged.
    """

    def __init__(self, folder: Path, *, proven: bool, note: Callable[[str], None]) -> None:
        self._folder, self._proven, self._note = folder, proven, note
        self._held: list[tuple[str, Ended]] = []
        self._in_a_row = 0

    def succeeded(self, on_end: OnEnd) -> None:
        """Take note of a training that did not fail; those that failed before it are over now."""
        self._proven, self._in_a_row = True, 0
        self.release(on_end)

    def failed(self, text: str, ended: Ended) -> None:
        """Hold back a training that failed.

        Raises:
            TrainingError: no training has succeeded yet, or this is the third failure in a row.
        """
        self._in_a_row += 1
        if not self._proven:
            raise TrainingError(text)
        if self._in_a_row == _IN_A_ROW:
            raise TrainingError(f"{_IN_A_ROW} trainings in a row failed, the last of them: {text}")
        self._held.append((text, ended))

    def release(self, on_end: OnEnd) -> bool:
        """Hand over, as diverged, the trainings that are held back; return whether any were."""
        held, self._held = self._held, []
        for text, ended in held:
            self._note(f"a training failed, and counts as diverged: {text}")
            on_end(ended)
        return bool(held)

    def keep(self, schedule: str, output: bytes, command: Callable[[Path], str]) -> tuple[str, str]:
        """Keep what a person needs to see why a training failed.

        Args:
            schedule: the schedule's file.
            output: what the training printed.
            command: returns the command that repeats it, given the path of the schedule.

        Returns:
            That command, and where the output is, in words; empty where nothing could be written.
        """
        try:
            folder = self._new_folder()
            path = folder / "schedule.json"
            path.write_text(schedule, encoding="utf-8")
            shown = command(path)
            (folder / "output.txt").write_bytes(f"$ {shown}\n".encode() + output)
        except OSError:
            return command(Path("schedule.json")), ""
        return shown, f" (its output: {folder / 'output.txt'})"

    def _new_folder(self) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            folder = self._folder / str(number)
            try:
                folder.mkdir()
            except FileExistsError:
                number += 1
            else:
                return folder
