"""Context: what all phases of one call on a run share."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from optuna.study import Study

from schedsearch.compat import storage_of
from schedsearch.search.create import open_beside
from schedsearch.search.events import Note, OnEvent
from schedsearch.search.timing import Clock
from schedsearch.store.leases import Leases
from schedsearch.store.queue import Queue
from schedsearch.store.run import Run
from schedsearch.store.writing import Writer, writer_of


@dataclass(frozen=True, eq=False)
class Context:
    """What all phases of one call on a run share.

    Args:
        run: the run.
        study: its main Optuna study.
        leases: the names under which this process holds trials.
        writer: writes several trials at once.
        lock: held while trials are asked, and while a conclusion is written; processes on this
            machine share it.
        on_event: told of what goes on.
        clock: where the time of the search is counted.
    """

    run: Run
    study: Study
    leases: Leases
    writer: Writer
    lock: AbstractContextManager[object]
    on_event: OnEvent
    clock: Clock = field(default_factory=Clock)

    def queue(self, name: str) -> Queue:
        """Return the queue of one of the run's studies; the study is made where it is missing.

        Raises:
            RunError: the storage has a study of this name that is not the run's.
        """
        with self.lock:
            study = self.study if name == self.run.name else open_beside(self.study, name)
        return Queue(study, self.leases, self.writer, self.lock)


@contextmanager
def open_context(
    run: Run, study: Study, lock: AbstractContextManager[object], on_event: OnEvent
) -> Iterator[Context]:
    """Open a context; at its end, what this process still holds goes back into the queue."""
    storage = storage_of(study)
    writer = writer_of(storage)
    if writer.note is not None:
        on_event(Note(writer.note))
    with Leases(storage) as leases:
        yield Context(run, study, leases, writer, lock, on_event)
