"""The tables of Optuna's databases that are read or written directly, and their shape.

They are private to Optuna: the shape of those in a database is compared with what is known here
before anything is written.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from optuna.trial import TrialState
from sqlalchemy import (
    Column,
    DateTime,
    Engine,
    Enum,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    inspect,
    select,
    types,
)
from sqlalchemy.types import TypeEngine

SCHEMA_VERSION = 12
MIGRATION = "v3.2.0.a"
"""The last change of its tables that Optuna has made: alembic's name of it."""

Shape = Mapping[str, Mapping[str, str]]
"""Table -> column -> type, and "key", "required" or "optional"."""


@dataclass(frozen=True)
class Tables:
    """Optuna's tables, as far as they are read or written directly."""

    studies: Table
    study_attrs: Table
    trials: Table
    params: Table
    values: Table
    intermediate_values: Table
    user_attrs: Table
    system_attrs: Table
    version_info: Table
    alembic_version: Table


_METADATA = MetaData()
_NAME = String(512)
_NUMBER = Float(53)


def _table(name: str, *columns: Column[Any]) -> Table:
    return Table(name, _METADATA, *columns)


def _key(name: str) -> Column[Any]:
    return Column(name, Integer, primary_key=True)


def _required(name: str, kind: Any) -> Column[Any]:
    return Column(name, kind, nullable=False)


def _attributes(owner: str, kind: str) -> Table:
    name = f"{owner}_{kind}_attribute"
    columns = (Column(f"{owner}_id", Integer), Column("key", _NAME), Column("value_json", Text))
    return _table(f"{name}s", _key(f"{name}_id"), *columns)


TABLES = Tables(
    studies=_table("studies", _key("study_id"), _required("study_name", _NAME)),
    study_attrs=_attributes("study", "system"),
    trials=_table(
        "trials",
        _key("trial_id"),
        Column("number", Integer),
        Column("study_id", Integer),
        _required("state", Enum(TrialState)),
        Column("datetime_start", DateTime),
        Column("datetime_complete", DateTime),
    ),
    params=_table(
        "trial_params",
        _key("param_id"),
        Column("trial_id", Integer),
        Column("param_name", _NAME),
        Column("param_value", _NUMBER),
        Column("distribution_json", Text),
    ),
    values=_table(
        "trial_values",
        _key("trial_value_id"),
        _required("trial_id", Integer),
        _required("objective", Integer),
        Column("value", _NUMBER),
        _required("value_type", Enum("FINITE", "INF_POS", "INF_NEG", name="trialvaluetype")),
    ),
    intermediate_values=_table(
        "trial_intermediate_values",
        _key("trial_intermediate_value_id"),
        _required("trial_id", Integer),
        _required("step", Integer),
        Column("intermediate_value", _NUMBER),
        _required(
            "intermediate_value_type",
            Enum("FINITE", "INF_POS", "INF_NEG", "NAN", name="trialintermediatevaluetype"),
        ),
    ),
    user_attrs=_attributes("trial", "user"),
    system_attrs=_attributes("trial", "system"),
    version_info=_table(
        "version_info",
        _key("version_info_id"),
        Column("schema_version", Integer),
        Column("library_version", String(256)),
    ),
    alembic_version=_table("alembic_version", Column("version_num", String(32), primary_key=True)),
)
"""Optuna's tables, as its version 5 makes them."""


def stored_value(value: float) -> tuple[float | None, str]:
    """Return a value of a trial, final or intermediate, as two columns hold it: value and type."""
    if math.isnan(value):
        return None, "NAN"
    if math.isinf(value):
        return None, "INF_POS" if value > 0 else "INF_NEG"
    return value, "FINITE"


def known_shape(dialect: str) -> Shape:
    """Return the shape of the tables that are known.

    Args:
        dialect: the kind of database; SQLite knows no enumerations.
    """
    shape = {table.name: shape_of(table, dialect) for table in vars(TABLES).values()}
    return shape | {"version": _version(SCHEMA_VERSION, MIGRATION)}


def found_shape(engine: Engine) -> Shape:
    """Return the shape that the same tables have in a database, without those that it lacks."""
    inspector, names = inspect(engine), {table.name for table in vars(TABLES).values()}
    shape: dict[str, Mapping[str, str]] = {}
    for name in sorted(names & set(inspector.get_table_names())):
        keys = inspector.get_pk_constraint(name)["constrained_columns"]
        columns = [
            Column(c["name"], c["type"], nullable=c["nullable"], primary_key=c["name"] in keys)
            for c in inspector.get_columns(name)
        ]
        shape[name] = _shape(columns, engine.dialect.name)
    version, migration = TABLES.version_info, TABLES.alembic_version
    known = known_shape(engine.dialect.name)
    if all(shape.get(table.name) == known[table.name] for table in (version, migration)):
        with engine.connect() as connection:
            schema = connection.scalar(select(version.c.schema_version))
            shape["version"] = _version(schema, connection.scalar(select(migration.c.version_num)))
    return shape


def shape_of(table: Table, dialect: str) -> Mapping[str, str]:
    """Return the shape of one table."""
    return _shape(table.columns, dialect)


def unlike_known(engine: Engine) -> str | None:
    """Return how the tables of a database differ from those that are known; None: they do not."""
    return difference(known_shape(engine.dialect.name), found_shape(engine))


def difference(known: Shape, found: Shape) -> str | None:
    """Return the first difference between two shapes, in words; None: there is none."""
    for table, columns in known.items():
        others = found.get(table)
        if others is None:
            return f"Optuna's database has no table {table!r}"
        for column in (*columns, *others):
            if columns.get(column) != others.get(column):
                ours, theirs = columns.get(column, "unknown"), others.get(column, "missing")
                which = f"{table}.{column} is {theirs}, and known is: {ours}"
                return f"Optuna's tables have another shape ({which})"
    return None


def _version(schema: int | None, migration: str | None) -> dict[str, str]:
    return {"schema": str(schema), "migration": str(migration)}


def _shape(columns: Iterable[Any], dialect: str) -> dict[str, str]:
    return {c.name: f"{_kind(c.type, dialect)} {_need(c)}" for c in columns}


def _need(column: Column[Any]) -> str:
    return "key" if column.primary_key else "optional" if column.nullable else "required"


def _kind(kind: TypeEngine[Any], dialect: str) -> str:
    if isinstance(kind, types.Enum) and dialect != "sqlite":
        return f"one of {', '.join(kind.enums)}"
    kinds: dict[str, Any] = {
        "text": types.String,
        "integer": types.Integer,
        "number": (types.Float, types.Numeric),
        "time": types.DateTime,
    }
    found = (name for name, known in kinds.items() if isinstance(kind, known))
    return next(found, str(kind).lower())
