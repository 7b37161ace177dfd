"""Look up a record of a registry by its name."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from schedsearch.errors import ConfigError, SchedsearchError, unknown


class Named(Protocol):
    """A record with a name."""

    @property
    def name(self) -> str:
        """The name that a person writes."""


N = TypeVar("N", bound=Named)


def find_named(
    kind: str, name: str, records: Sequence[N], error: type[SchedsearchError] = ConfigError
) -> N:
    """Return the record of a name.

    Args:
        kind: what the records are, for the message.
        name: the name.
        records: the registry.
        error: what is raised for an unknown name; its message names the nearest one.
    """
    for record in records:
        if record.name == name:
            return record
    raise error(unknown(kind, name, (record.name for record in records)))
