"""Read what a run stores: only the attributes that are needed, of all its trials in one statement.

Optuna reads whole trials, each with its curve and in objects of its own: a second for a thousand.
Where its tables have the shape that is known they are read directly; elsewhere Optuna reads them.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from weakref import WeakKeyDictionary

from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import TrialState
from sqlalchemy import ColumnElement, Select, Table, or_, select

from schedsearch.compat import NOT_FOUND, study_id_of, trial_id_of
from schedsearch.store.leases import ATTEMPT, LEASE, OWNER
from schedsearch.store.tables import TABLES, unlike_known

_USER = (OWNER, LEASE, ATTEMPT)
_KNOWN: WeakKeyDictionary[RDBStorage, bool] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class StoredTrial:
    """A trial with some of its attributes.

    Args:
        trial_id: its id in the storage.
        number: its number within its study.
        state: its state.
        datetime_start: when it started, in local time.
        datetime_complete: when it ended, in local time.
        user_attrs: of its owner, lease and attempt those that were asked for.
        system_attrs: the attributes that were asked for.
    """

    trial_id: int
    number: int
    state: TrialState
    datetime_start: datetime | None
    datetime_complete: datetime | None
    user_attrs: dict[str, Any] = field(default_factory=dict)
    system_attrs: dict[str, Any] = field(default_factory=dict)


def knows_tables(storage: RDBStorage) -> bool:
    """Return whether a storage's tables can be read directly; looked at once for each storage."""
    if storage not in _KNOWN:
        _KNOWN[storage] = unlike_known(storage.engine) is None
    return _KNOWN[storage]


def attributes_of_studies(storage: RDBStorage, key: str) -> dict[str, tuple[int, Any]]:
    """Return the studies that have an attribute: their names -> their id and its value."""
    if not knows_tables(storage):
        return {
            study.study_name: (study_id_of(study), study.system_attrs[key])
            for study in storage.get_all_studies()
            if key in study.system_attrs
        }
    studies, attrs = TABLES.studies, TABLES.study_attrs
    query = (
        select(studies.c.study_name, studies.c.study_id, attrs.c.value_json)
        .join_from(studies, attrs, attrs.c.study_id == studies.c.study_id)
        .where(attrs.c.key == key)
        .order_by(studies.c.study_id)
    )
    with storage.engine.connect() as connection:
        return {name: (i, json.loads(text)) for name, i, text in connection.execute(query)}


def study_attributes(storage: RDBStorage, study_id: int, prefix: str) -> dict[str, Any]:
    """Return the attributes of a study whose names begin so.

    Raises:
        KeyError: there is no such study (any more).
    """
    if not knows_tables(storage):
        every = storage.get_study_system_attrs(study_id)
        return {key: value for key, value in every.items() if key.startswith(prefix)}
    studies, attrs = TABLES.studies, TABLES.study_attrs
    wanted = (attrs.c.study_id == studies.c.study_id) & attrs.c.key.startswith(
        prefix, autoescape=True
    )
    query = (
        select(attrs.c.key, attrs.c.value_json)
        .select_from(studies.outerjoin(attrs, wanted))
        .where(studies.c.study_id == study_id)
    )
    with storage.engine.connect() as connection:
        rows = connection.execute(query).all()
    if not rows:
        raise KeyError(NOT_FOUND)
    return {key: json.loads(text) for key, text in rows if key is not None}


def read_trials(
    storage: RDBStorage, study_ids: Iterable[int], names: Sequence[str] = ()
) -> dict[int, list[StoredTrial]]:
    """Return the trials of studies, by number, each with some of its attributes.

    Args:
        storage: where the studies are.
        study_ids: the studies; one that is gone has no trials.
        names: the attributes to read: system attributes, of which one that ends in ":" stands for
            all that begin so, and OWNER, LEASE or ATTEMPT.

    Returns:
        for each study its trials.
    """
    wanted = list(study_ids)
    if not knows_tables(storage):
        return {i: _through_optuna(storage, i, names) for i in wanted}
    found: dict[int, list[StoredTrial]] = {i: [] for i in wanted}
    by_id: dict[int, StoredTrial] = {}
    system, user = TABLES.system_attrs, TABLES.user_attrs
    of_user = [name for name in names if name in _USER]
    with storage.engine.connect() as connection:
        for row in connection.execute(_trials_with(system, _named(system, names), wanted)):
            trial_id, study_id, number, state, start, end, key, text = row
            if trial_id not in by_id:
                by_id[trial_id] = StoredTrial(trial_id, number, state, _local(start), _local(end))
                found[study_id].append(by_id[trial_id])
            if key is not None:
                by_id[trial_id].system_attrs[key] = json.loads(text)
        if of_user:
            query = _trials_with(user, user.c.key.in_(of_user), wanted)
            for trial_id, *_, key, text in connection.execute(query):
                if key is not None and trial_id in by_id:
                    by_id[trial_id].user_attrs[key] = json.loads(text)
    return found


def _trials_with(table: Table, named: ColumnElement[bool], study_ids: list[int]) -> Select[Any]:
    """Return a query of trials, one row for each attribute, and one for a trial without any."""
    trials = TABLES.trials
    own = (table.c.trial_id == trials.c.trial_id) & named
    return (
        select(
            *(trials.c.trial_id, trials.c.study_id, trials.c.number, trials.c.state),
            *(trials.c.datetime_start, trials.c.datetime_complete),
            *(table.c.key, table.c.value_json),
        )
        .select_from(trials.outerjoin(table, own))
        .where(trials.c.study_id.in_(study_ids))
        .order_by(trials.c.number)
    )


def _named(table: Table, names: Sequence[str]) -> ColumnElement[bool]:
    exact = [name for name in names if not name.endswith(":")]
    begins = (table.c.key.startswith(n, autoescape=True) for n in names if n.endswith(":"))
    return or_(table.c.key.in_(exact), *begins)


def _through_optuna(storage: RDBStorage, study_id: int, names: Sequence[str]) -> list[StoredTrial]:
    exact, begins = set(names), tuple(name for name in names if name.endswith(":"))
    return [
        StoredTrial(
            *(trial_id_of(trial), trial.number, trial.state),
            *(trial.datetime_start, trial.datetime_complete),
            {k: v for k, v in trial.user_attrs.items() if k in exact and k in _USER},
            {k: v for k, v in trial.system_attrs.items() if k in exact or k.startswith(begins)},
        )
        for trial in sorted(_all_trials(storage, study_id), key=lambda t: t.number)
    ]


def _all_trials(storage: BaseStorage, study_id: int) -> list[Any]:
    try:
        return list(storage.get_all_trials(study_id, deepcopy=False))
    except KeyError:
        return []


def _local(moment: datetime | None) -> datetime | None:
    """Return a time of Optuna's tables, which hold UTC, in local time and without its zone."""
    return None if moment is None else moment.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)
