"""Writer: how trials are written into a storage, directly into Optuna's tables where that is safe.

Optuna's tables are private to it, and writing into them directly is some thirty times faster. So
their shape in the database at hand is compared with the known one first. Where it differs, Optuna's
public storage API writes instead.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from optuna.storages import BaseStorage

from schedsearch.compat import database_of
from schedsearch.store import optuna_tables, public_api
from schedsearch.store.rows import Finished, Sampled
from schedsearch.store.tables import difference, found_shape, known_shape

__all__ = ["Finished", "Sampled", "Writer", "writer_of"]


class _Way(Protocol):
    """A module that writes; see `optuna_tables` for what each of its functions does."""

    def create_running(
        self,
        storage: BaseStorage,
        study_id: int,
        user_attrs: Mapping[str, Any],
        count: int,
        total: int,
        system_attrs: Sequence[Mapping[str, Any]] = (),
    ) -> list[tuple[int, int]]: ...

    def write_sampled(
        self, storage: BaseStorage, trials: Sequence[Sampled], owner: str
    ) -> set[int]: ...

    def write_results(
        self, storage: BaseStorage, trials: Sequence[Finished], owner: str
    ) -> set[int]: ...

    def editing_attrs(
        self, storage: BaseStorage, study_id: int, prefixes: Sequence[str]
    ) -> AbstractContextManager[dict[str, Any]]: ...


@dataclass(frozen=True)
class Writer:
    """Writes trials into a storage.

    Args:
        storage: the storage.
        way: the module that writes: `optuna_tables`, or `public_api`.
        note: why the slower way was taken, in a sentence for the person; None: it was not.
    """

    storage: BaseStorage
    way: _Way
    note: str | None = None

    def create_running(
        self,
        study_id: int,
        user_attrs: Mapping[str, Any],
        count: int,
        total: int,
        system_attrs: Sequence[Mapping[str, Any]] = (),
    ) -> list[tuple[int, int]]:
        """Create trials that run, and return the id and the number of each.

        Args:
            study_id: the study.
            user_attrs: what each trial is created with.
            count: how many.
            total: the most trials that the study is to have, failed ones not counted.
            system_attrs: what each of them is created with; then all are created, or none.

        Raises:
            KeyError: there is no such study (any more).
        """
        return self.way.create_running(
            self.storage, study_id, user_attrs, count, total, system_attrs
        )

    def write_sampled(self, trials: Sequence[Sampled], owner: str) -> set[int]:
        """Write what was sampled for running trials; return the ids of those still the owner's."""
        return self.way.write_sampled(self.storage, trials, owner)

    def write_results(self, trials: Sequence[Finished], owner: str) -> set[int]:
        """End trials; return the ids of those that were still the owner's to end."""
        return self.way.write_results(self.storage, trials, owner)

    def editing_attrs(
        self, study_id: int, prefixes: Sequence[str]
    ) -> AbstractContextManager[dict[str, Any]]:
        """Open the system attributes of a study whose names begin so, and write what is changed.

        Raises:
            KeyError: there is no such study (any more).
        """
        return self.way.editing_attrs(self.storage, study_id, prefixes)


def writer_of(storage: BaseStorage) -> Writer:
    """Return the fastest writer that is safe for a storage."""
    differs = _why_not_tables(storage)
    if differs is None:
        return Writer(storage, optuna_tables)
    return Writer(
        storage,
        public_api,
        f"{differs}: trials are written through Optuna's public interface, which is slower "
        "(a newer schedsearch may know them)",
    )


def _why_not_tables(storage: BaseStorage) -> str | None:
    """Return why a storage's tables can't be written directly; None: they can."""
    database = database_of(storage)
    if database is None:
        return f"the storage is no database but {type(storage).__name__}"
    return difference(known_shape(database.engine.dialect.name), found_shape(database.engine))
