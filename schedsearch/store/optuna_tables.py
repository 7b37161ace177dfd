"""Write the trials of a batch together, directly into Optuna's own tables.

Optuna's storage writes each value in a transaction of its own: some thirty of them for one trial.
Here a whole batch is one transaction, with the rows that Optuna would write; so a trial ends with
all of its result, or not at all. `writing.writer_of` first compares the shape of the tables.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from optuna.distributions import distribution_to_json
from optuna.storages import BaseStorage
from optuna.trial import TrialState
from sqlalchemy import Connection, Table, bindparam, delete, func, insert, or_, select, update

from schedsearch.compat import NOT_FOUND, database_of
from schedsearch.store.leases import OWNER
from schedsearch.store.rows import Finished, Sampled
from schedsearch.store.tables import TABLES, stored_value

STUDIES, STUDY_ATTRS = TABLES.studies, TABLES.study_attrs
TRIALS, PARAMS, VALUES = TABLES.trials, TABLES.params, TABLES.values
INTERMEDIATE_VALUES = TABLES.intermediate_values
USER_ATTRS, SYSTEM_ATTRS = TABLES.user_attrs, TABLES.system_attrs

_MOST_IDS = 500  # in one statement: databases limit its variables


def create_running(
    storage: BaseStorage,
    study_id: int,
    user_attrs: Mapping[str, Any],
    count: int,
    total: int,
    system_attrs: Sequence[Mapping[str, Any]] = (),
) -> list[tuple[int, int]]:
    """Create trials that run, and return the id and the number of each.

    Args:
        storage: where the study is.
        study_id: the study.
        user_attrs: what each trial is created with.
        count: how many trials to create.
        total: the most trials that the study is to have, failed ones not counted. The trials that
            other processes have created meanwhile count.
        system_attrs: what each trial is created with, in the same transaction; then all `count`
            are created, or none where there is room for fewer.

    Raises:
        KeyError: there is no such study (any more).
    """
    with _writing(storage) as connection:
        # whoever numbers trials, with Optuna's own storage too, holds the study's row meanwhile
        study = select(STUDIES.c.study_id).where(STUDIES.c.study_id == study_id)
        if connection.execute(study.with_for_update()).one_or_none() is None:
            raise KeyError(NOT_FOUND)
        mine, state, trial_id = TRIALS.c.study_id == study_id, TRIALS.c.state, TRIALS.c.trial_id
        by_state = select(state, func.count(trial_id), func.max(trial_id)).where(mine)
        seen = connection.execute(by_state.group_by(state)).all()
        first = sum(n for _, n, _ in seen)
        room = total - sum(n for state, n, _ in seen if state != TrialState.FAIL)
        if system_attrs and room < count:
            return []
        row = {"study_id": study_id, "state": TrialState.RUNNING, "datetime_start": _now()}
        rows = [row | {"number": first + i} for i in range(min(count, room))]
        if not rows:
            return []
        connection.execute(insert(TRIALS), rows)
        last_id = max((last for _, _, last in seen), default=0)
        new = select(trial_id, TRIALS.c.number).where(mine, trial_id > last_id)
        created = [(i, number) for i, number in connection.execute(new.order_by(trial_id))]
        attrs = [row for i, _ in created for row in _attr_rows(i, user_attrs)]
        _put(connection, USER_ATTRS, "key", attrs)
        each = zip(created, system_attrs, strict=True) if system_attrs else ()
        own = [row for (i, _), mine in each for row in _attr_rows(i, mine)]
        _put(connection, SYSTEM_ATTRS, "key", own)
    return created


def write_sampled(storage: BaseStorage, trials: Sequence[Sampled], owner: str) -> set[int]:
    """Write what was sampled for trials that run, and return the ids of those still the owner's.

    Whether a parameter's distribution fits those of earlier trials is not checked: the plan of a
    run decides it.
    """
    with _writing(storage) as connection:
        ours = _held(connection, [t.trial_id for t in trials], owner)
        trials = [t for t in trials if t.trial_id in ours]
        params = [row for trial in trials for row in _param_rows(trial)]
        attrs = [row for t in trials for row in _attr_rows(t.trial_id, t.system_attrs)]
        _put(connection, PARAMS, "param_name", params)
        _put(connection, SYSTEM_ATTRS, "key", attrs)
    return ours


def write_results(storage: BaseStorage, trials: Sequence[Finished], owner: str) -> set[int]:
    """End trials, and return the ids of those that were still the owner's to end.

    Nothing is written for one that has ended already, waits, or has another owner.
    """
    with _writing(storage) as connection:
        ours = _held(connection, [t.trial_id for t in trials], owner)
        trials = [t for t in trials if t.trial_id in ours]
        values = [_value_row(t.trial_id, t.value) for t in trials if t.value is not None]
        reported = [row for t in trials for row in _intermediate_rows(t)]
        system = [row for t in trials for row in _attr_rows(t.trial_id, t.system_attrs)]
        user = [row for t in trials for row in _attr_rows(t.trial_id, t.user_attrs)]
        _put(connection, VALUES, "objective", values)
        _put(connection, INTERMEDIATE_VALUES, "step", reported)
        _put(connection, SYSTEM_ATTRS, "key", system)
        _put(connection, USER_ATTRS, "key", user)
        ended = {"state": bindparam("to"), "datetime_complete": _now()}
        one = update(TRIALS).where(TRIALS.c.trial_id == bindparam("the_id")).values(ended)
        if trials:
            connection.execute(one, [{"the_id": t.trial_id, "to": t.state} for t in trials])
    return ours


@contextmanager
def editing_attrs(
    storage: BaseStorage, study_id: int, prefixes: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Open system attributes of a study to be changed; all changes are written at once at the end.

    Args:
        storage: where the study is.
        study_id: the study.
        prefixes: how the names of these attributes begin.

    Yields:
        the attributes, in a dictionary to be changed.

    Raises:
        KeyError: there is no such study (any more).
    """
    key, value = STUDY_ATTRS.c.key, STUDY_ATTRS.c.value_json
    mine = STUDY_ATTRS.c.study_id == study_id
    with _writing(storage) as connection:
        study = select(STUDIES.c.study_id).where(STUDIES.c.study_id == study_id)
        if connection.execute(study.with_for_update()).one_or_none() is None:
            raise KeyError(NOT_FOUND)
        named = or_(*(key.startswith(prefix, autoescape=True) for prefix in prefixes))
        before = {k: v for k, v in connection.execute(select(key, value).where(mine, named))}
        attrs = {name: json.loads(text) for name, text in before.items()}
        yield attrs
        after = {name: json.dumps(content) for name, content in attrs.items()}
        differ = {name: text for name, text in after.items() if before.get(name) != text}
        old = [{"the_key": name} for name in before if name not in after or name in differ]
        if old:
            connection.execute(delete(STUDY_ATTRS).where(mine, key == bindparam("the_key")), old)
        rows = [{"study_id": study_id, "key": k, "value_json": v} for k, v in differ.items()]
        if rows:
            connection.execute(insert(STUDY_ATTRS), rows)


@contextmanager
def _writing(storage: BaseStorage) -> Iterator[Connection]:
    """Begin a transaction that nobody else writes into; SQLite locks its whole file."""
    database = database_of(storage)
    assert database is not None
    with database.engine.begin() as connection:
        if database.engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield connection


def _held(connection: Connection, trial_ids: Sequence[int], owner: str) -> set[int]:
    """Return the trials that run under an owner's name; they stay locked in the transaction."""
    held: set[int] = set()
    for first in range(0, len(trial_ids), _MOST_IDS):
        some = sorted(trial_ids)[first : first + _MOST_IDS]
        query = (
            select(TRIALS.c.trial_id, USER_ATTRS.c.value_json)
            .join_from(TRIALS, USER_ATTRS, USER_ATTRS.c.trial_id == TRIALS.c.trial_id)
            .where(TRIALS.c.trial_id.in_(some), TRIALS.c.state == TrialState.RUNNING)
            .where(USER_ATTRS.c.key == OWNER)
            .order_by(TRIALS.c.trial_id)
            .with_for_update()
        )
        held |= {i for i, name in connection.execute(query) if json.loads(name) == owner}
    return held


def _put(
    connection: Connection, table: Table, name: str, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Insert rows; they replace those that an earlier attempt left under the same names."""
    column, trial_id = table.c[name], table.c.trial_id
    trial_ids = sorted({row["trial_id"] for row in rows})
    there: set[tuple[int, Any]] = set()
    for first in range(0, len(trial_ids), _MOST_IDS):
        some = trial_id.in_(trial_ids[first : first + _MOST_IDS])
        there |= {(i, key) for i, key in connection.execute(select(trial_id, column).where(some))}
    keys = [{"the_id": row["trial_id"], "the_key": row[name]} for row in rows]
    old = [key for key in keys if (key["the_id"], key["the_key"]) in there]
    if old:
        same = (trial_id == bindparam("the_id")) & (column == bindparam("the_key"))
        connection.execute(delete(table).where(same), old)
    if rows:
        connection.execute(insert(table), rows)


def _attr_rows(trial_id: int, attrs: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"trial_id": trial_id, "key": key, "value_json": json.dumps(value)}
        for key, value in attrs.items()
    ]


def _param_rows(trial: Sampled) -> list[dict[str, Any]]:
    return [
        {
            "trial_id": trial.trial_id,
            "param_name": name,
            "param_value": trial.distributions[name].to_internal_repr(value),
            "distribution_json": distribution_to_json(trial.distributions[name]),
        }
        for name, value in trial.params.items()
    ]


def _value_row(trial_id: int, value: float) -> dict[str, Any]:
    stored, kind = stored_value(value)
    return {"trial_id": trial_id, "objective": 0, "value": stored, "value_type": kind}


def _intermediate_rows(trial: Finished) -> Iterator[dict[str, Any]]:
    for step, value in trial.intermediate_values.items():
        stored, kind = stored_value(value)
        row = {"trial_id": trial.trial_id, "step": step, "intermediate_value": stored}
        yield row | {"intermediate_value_type": kind}


def _now() -> datetime:
    """Return the time as Optuna's tables hold it: UTC, without its zone."""
    return datetime.now(UTC).replace(tzinfo=None)
