"""OwnTrainer: trains jobs with the user's own command, several at a time.

a job -> a process -> lines of its output -> rows -> whoever asked: go on, or stop
"""

import selectors
import shlex
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from schedsearch.errors import TrainingError
from schedsearch.interrupts import interrupts_deferred
from schedsearch.training.own.command import filled
from schedsearch.training.own.failures import Failures
from schedsearch.training.own.guard import Guard
from schedsearch.training.own.process import Process, end_all
from schedsearch.training.own.rows import Rows, Tell, evaluation_in
from schedsearch.training.own.task import OwnTask, own_way
from schedsearch.training.recipe import Ended, Job, JobSource

_LOOK_SECONDS = 0.05  # how often is looked for processes that have ended
_SOON_SECONDS = 0.002  # where one has closed its output
_EXAMPLE = '{"step": 50, "val_loss": 0.4}'


@dataclass(eq=False)
class _Training:
    """A training that goes on."""

    job: Job
    slot: int
    process: Process
    rows: Rows
    words: Callable[[Path], str]
    stopped: bool = False
    problem: str = ""

    @property
    def cut(self) -> bool:
        """Whether it has come to a rung that cuts it."""
        return self.rows.complete and self.job.end < self.job.total_steps

    @property
    def over(self) -> bool:
        """Whether it is to end now."""
        return self.stopped or self.rows.diverged or bool(self.problem) or self.cut


class CommandTrainer:
    """Trains jobs with a command of the user's own, as many at a time as its task says.

    Args:
        task: the command.
        failures: decides what becomes of a training that fails.
        tell: told, under a key, of what a person should know.
    """

    def __init__(self, task: OwnTask, failures: Failures, tell: Tell) -> None:
        self._task, self._failures, self._tell = task, failures, tell
        self.way = own_way(task)

    @property
    def room(self) -> int:
        """The number of jobs that are trained at a time."""
        return self._task.parallel

    def run(self, source: JobSource) -> None:
        """Ask for jobs until there are none, train them, and report evaluations and ends.

        However this ends, no process that it started is left.

        Raises:
            TrainingError: a training failed, and that stops the study.
        """
        with Guard() as guard, selectors.DefaultSelector() as selector:
            floor = _Floor(self._task, source, self._failures, self._tell, guard, selector)
            try:
                floor.work()
            finally:
                floor.clear()


class _Floor:
    """Where trainings go on: started as places become free, watched, and ended."""

    def __init__(
        self,
        task: OwnTask,
        source: JobSource,
        failures: Failures,
        tell: Tell,
        guard: Guard,
        selector: selectors.BaseSelector,
    ) -> None:
        self._task, self._source, self._failures, self._tell = task, source, failures, tell
        self._guard, self._selector = guard, selector
        self._running: list[_Training] = []
        self._started = 0

    def work(self) -> None:
        """Train until there is nothing more to train."""
        while True:
            free = self._task.parallel - len(self._running)
            jobs = self._source.ask(free) if free else ()
            for job in jobs:
                self._start(job)
            if not self._running and not self._failures.release(self._source.ended):
                return
            ended: list[_Training] = []
            while self._running and not ended:
                ended = self._watch()
            for training in ended:
                self._end(training)

    def clear(self) -> None:
        """End what still goes on."""
        end_all([training.process for training in self._running])

    def _start(self, job: Job) -> None:
        taken = {training.slot for training in self._running}
        slot = next(slot for slot in range(self._task.parallel) if slot not in taken)
        self._started += 1
        path = self._guard.folder / f"{self._started}.json"
        path.write_text(job.schedule.to_json(), encoding="utf-8")
        values = {
            "total_steps": job.total_steps,
            "seed": job.seed,
            "last_step": job.end,
            "slot": slot,
        }

        def words(schedule: Path) -> str:
            return shlex.join(filled(self._task.command, values | {"schedule": schedule}))

        command = filled(self._task.command, values | {"schedule": path})
        with interrupts_deferred():
            process = Process(command, self._task.environment, path.with_suffix(".txt"))
            self._guard.watch(process.group)
            names = [metric.name for metric in self._task.metrics]
            rows = Rows(job, names, self._tell)
            training = _Training(job, slot, process, rows, words)
            self._running.append(training)
        for pipe in (process.out, process.err):
            self._selector.register(pipe, selectors.EVENT_READ, training)

    def _watch(self) -> list[_Training]:
        """Read what is printed, for a moment; return the trainings whose processes have ended."""
        open_pipes = len(self._selector.get_map())
        soon = open_pipes < 2 * len(self._running)
        for key, _ in self._selector.select(_SOON_SECONDS if soon else _LOOK_SECONDS):
            self._read(key.data, key.fileobj)  # type: ignore[arg-type]
        for training in self._running:
            if self._is_late(training) and not training.rows.complete:
                limit = self._task.limit_seconds or 0.0
                training.problem = f"took longer than training.limit_minutes = {limit / 60:g}"
            if training.over or self._is_late(training):
                training.process.terminate()
        return [training for training in self._running if training.process.ended()]

    def _is_late(self, training: _Training) -> bool:
        limit = self._task.limit_seconds
        return limit is not None and training.process.seconds > limit

    def _read(self, training: _Training, pipe: IO[bytes]) -> None:
        """Read what is printed, and tell of each evaluation."""
        lines, is_open = training.process.read(pipe)
        if not is_open:
            self._selector.unregister(pipe)
        for line in lines if pipe is training.process.out else ():
            values = None if training.over else evaluation_in(line)
            if values is None:
                continue
            try:
                row = training.rows.add(values, training.process.seconds)
            except TrainingError as error:
                training.problem = str(error)
                continue
            if not training.rows.diverged:
                training.stopped = self._source.evaluated(training.job, row)

    def _end(self, training: _Training) -> None:
        """Take what a training gave that has ended."""
        process, job, rows = training.process, training.job, training.rows
        for pipe in (process.out, process.err):
            if pipe in self._selector.get_map():
                self._read(training, pipe)
            if pipe in self._selector.get_map():
                self._selector.unregister(pipe)
        process.close()
        self._guard.forget(process.group)
        self._running.remove(training)
        good = training.stopped or rows.diverged or rows.complete
        problem = training.problem or ("" if good else _unfinished(training))
        if problem:
            output = process.log_path.read_bytes()
            command, where = self._failures.keep(job.schedule.to_json(), output, training.words)
            text = f"the trainer {problem}: {command}{where}"
            self._failures.failed(text, Ended(job, rows.curve(failed=True)))
            return
        if rows.complete and not training.cut and process.exit_code > 0:
            self._tell("exit", f"the trainer {_exit(process)} after its last evaluation: it counts")
        self._failures.succeeded(self._source.ended)
        self._source.ended(Ended(job, rows.curve(stopped=training.stopped)))


def _unfinished(training: _Training) -> str:
    """Return what happened to a training that ended before its last evaluation."""
    process, rows, steps = training.process, training.rows.rows, training.job.total_steps
    if process.exit_code:
        return _exit(process)
    if not rows:
        return f"printed no evaluation, which is a JSON object in a line, such as {_EXAMPLE}"
    return f"ended after an evaluation at step {rows[-1].step}, and without one at step {steps}"


def _exit(process: Process) -> str:
    code = process.exit_code
    if code < 0:
        return f"was ended by the signal {signal.Signals(-code).name}"
    said = f" ({process.last_error[:200]})" if process.last_error else ""
    return f"ended with exit code {code}{said}"
