"""Put figures, notes and files on the pages that the Optuna dashboard shows, and take them off.

All of them are attributes of the study. An item that a page shows already is not written again, and
a note that a person wrote, changed or emptied is left alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from schedsearch.compat import (
    described_file,
    figure_prefix,
    file_key,
    note_prefix,
    read_note,
    write_figure,
    write_note,
)
from schedsearch.store.records import PREFIX

PUBLISHED = f"{PREFIX}published"
"""The attribute that holds a digest of all that was put on a study's pages."""


@dataclass(frozen=True)
class Item:
    """One thing on a page.

    Args:
        kind: a figure, a note, or a file.
        place: a figure's name; a note's trial ("": the study); a file's trial and id.
        content: a figure as plotly's JSON; a note in Markdown; what describes a file, as JSON.
    """

    kind: Literal["figure", "note", "file"]
    place: str
    content: str

    @property
    def key(self) -> str:
        """What it is called among all that was put up."""
        return f"{self.kind}:{self.place}"


def note(body: str, trial_id: int | None = None) -> Item:
    """Make a note on a study, or on one of its trials."""
    return Item("note", "" if trial_id is None else str(trial_id), body)


def file(trial_id: int, file_id: str, name: str, mimetype: str) -> Item:
    """Make a file on a trial's page; it lies under its id in the artifact store."""
    return Item("file", f"{trial_id}:{file_id}", described_file(file_id, name, mimetype))


def put(attrs: dict[str, Any], items: Iterable[Item], kinds: tuple[str, ...]) -> list[str]:
    """Make the pages show these items of these kinds, and no others that were put up before.

    Args:
        attrs: the study's attributes, which are changed.
        items: what is to be shown.
        kinds: of which kinds they are.

    Returns:
        the places of the files that were taken off.
    """
    published: dict[str, str] = dict(attrs.get(PUBLISHED, {}))
    wanted = {item.key: item for item in items}
    for key, item in wanted.items():
        digest = _digest(item.content)
        if published.get(key) == digest or not _ours(attrs, item.kind, item.place, published):
            continue
        _write(attrs, item)
        published[key] = digest
    gone = [key for key in published if key.partition(":")[0] in kinds and key not in wanted]
    for key in gone:
        kind, _, place = key.partition(":")
        if _ours(attrs, kind, place, published):
            for name in [name for name in attrs if name.startswith(_prefix(kind, place))]:
                del attrs[name]
        del published[key]
    if attrs.get(PUBLISHED, {}) != published:
        attrs[PUBLISHED] = published
    return [key.partition(":")[2] for key in gone if key.startswith("file:")]


def _digest(content: str) -> str:
    return sha256(content.encode()).hexdigest()[:24]


def _ours(attrs: dict[str, Any], kind: str, place: str, published: dict[str, str]) -> bool:
    """Return whether nobody has changed an item since it was put up."""
    if kind != "note":
        return True
    body = read_note(attrs, _trial(place))
    return published.get(f"note:{place}", _digest("")) == _digest(body)


def _trial(place: str) -> int | None:
    return int(place) if place else None


def _prefix(kind: str, place: str) -> str:
    """Return how the attributes of an item begin."""
    if kind == "figure":
        return figure_prefix(place)
    if kind == "note":
        return note_prefix(_trial(place))
    trial, _, file_id = place.partition(":")
    return file_key(int(trial), file_id)


def _write(attrs: dict[str, Any], item: Item) -> None:
    if item.kind == "file":
        attrs[_prefix("file", item.place)] = item.content
    elif item.kind == "figure":
        write_figure(attrs, item.place, item.content)
    else:
        write_note(attrs, _trial(item.place), item.content)
