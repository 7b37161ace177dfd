"""FunctionTrainer: trains jobs with a Python function of the user's own, in this process."""

import time
from pathlib import Path
from typing import Any

from schedsearch.errors import TrainingError
from schedsearch.training.own.failures import Failures
from schedsearch.training.own.report import Report, StopTraining
from schedsearch.training.own.rows import Rows, Tell
from schedsearch.training.own.task import OwnTask, own_way
from schedsearch.training.own.worker import users_traceback
from schedsearch.training.recipe import Ended, Job, JobSource


class FunctionTrainer:
    """Trains jobs with a Python function of the user's own, one after the other.

    Args:
        task: the function.
        failures: decides what becomes of a training that fails.
        tell: told, under a key, of what a person should know.
    """

    room = 1

    def __init__(self, task: OwnTask, failures: Failures, tell: Tell) -> None:
        self._task, self._failures, self._tell = task, failures, tell
        self.way = own_way(task)

    def run(self, source: JobSource) -> None:
        """Ask for jobs until there are none, train them, and report evaluations and ends.

        Raises:
            TrainingError: a training failed, and that stops the study.
        """
        while True:
            jobs = source.ask(self.room)
            if not jobs and not self._failures.release(source.ended):
                return
            for job in jobs:
                self._train(job, source)

    def _train(self, job: Job, source: JobSource) -> None:
        call = _Call(job, source, self._task, self._tell)
        problem, output = "", ""
        try:
            call.train()
        except StopTraining:
            pass
        except TrainingError as error:
            problem = str(error)
        except Exception as error:
            if error is call.error:  # none of the user's: the storage's, for example
                raise
            problem, output = f"failed ({type(error).__name__}: {error})", users_traceback(error)
        rows = call.rows
        if not (problem or call.stopped or rows.diverged or rows.complete):
            at = f"at step {rows.rows[-1].step}" if rows.rows else "without an evaluation"
            problem = f"ended {at}: report(step={job.total_steps}, val_loss=...) is missing"
        if problem:
            where = self._failures.keep(job.schedule.to_json(), output.encode(), call.words)
            text = f"the trainer {' '.join(problem.split())[:300]}: {''.join(where)}"
            self._failures.failed(text, Ended(job, rows.curve(failed=True)))
            return
        self._failures.succeeded(source.ended)
        source.ended(Ended(job, rows.curve(stopped=call.stopped)))


class _Call:
    """A call of the user's function, and what it has reported."""

    def __init__(self, job: Job, source: JobSource, task: OwnTask, tell: Tell) -> None:
        self._job, self._source, self._task = job, source, task
        self.rows = Rows(job, [metric.name for metric in task.metrics], tell)
        self.stopped = False
        self.error: Exception | None = None
        self._started = time.monotonic()

    def train(self) -> None:
        """Call the function."""
        job, function = self._job, self._task.function
        assert function is not None
        function(job.schedule, job.total_steps, job.seed, Report(self._take))

    def words(self, schedule: Path) -> str:
        """Return the call as a person would write it."""
        job, name = self._job, self._task.name.partition(":")[2]
        return f'{name}(load_schedule("{schedule}"), {job.total_steps}, {job.seed}, report)'

    def _take(self, values: dict[str, Any]) -> bool:
        seconds, limit = time.monotonic() - self._started, self._task.limit_seconds
        row = self.rows.add(values, seconds)
        if self.rows.diverged:
            return True
        try:
            self.stopped = self._source.evaluated(self._job, row)
        except Exception as error:
            self.error = error
            raise
        if self.stopped or self.rows.complete:
            return True
        if limit is not None and seconds > limit:
            raise TrainingError(f"took longer than training.limit_minutes = {limit / 60:g}")
        return False
