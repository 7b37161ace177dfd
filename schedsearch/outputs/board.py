"""What the pages of a study show in the Optuna dashboard: figures, notes, files; put and taken off.

All of it are attributes of the study. What hangs there already is not written again, and a note
that a person wrote, changed or emptied is theirs.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from optuna_dashboard import get_note, save_note, save_plotly_graph_object

from schedsearch.storage.records import PREFIX

PUBLISHED = f"{PREFIX}published"
"""The attribute that holds a digest of all that was put on a study's pages."""

_PIECE = 10_000  # characters: under 64 kB, also where JSON writes six for one


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
    about = {"artifact_id": file_id, "filename": name, "mimetype": mimetype, "encoding": None}
    return Item("file", f"{trial_id}:{file_id}", json.dumps(about))


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
    """Say whether a person has left an item as it was put up."""
    if kind != "note":
        return True
    body = get_note(_Page(attrs, place))
    return published.get(f"note:{place}", _digest("")) == _digest(body)


def _prefix(kind: str, place: str) -> str:
    """Return how the attributes of an item begin."""
    if kind == "figure":
        return f"dashboard:plot_data:{place}:"
    if kind == "file":
        return f"dashboard:artifacts:{place}"
    return f"dashboard:{place}:note_" if place else "dashboard:note_"


def _write(attrs: dict[str, Any], item: Item) -> None:
    if item.kind == "file":  # where the dashboard looks too: Optuna lets no finished trial be told
        attrs[_prefix("file", item.place)] = item.content
        return
    if item.kind == "figure":
        page = _Page(attrs, "")
        save_plotly_graph_object(page, _Json(item.content), graph_object_id=item.place)
    else:
        save_note(_Page(attrs, item.place), item.content)
    _join(attrs, item)


def _join(attrs: dict[str, Any], item: Item) -> None:
    """Join the pieces of 2 kB in which the dashboard writes: a storage reads few rows sooner."""
    start = _prefix(item.kind, item.place) + ("" if item.kind == "figure" else "str:")
    pieces = [name for name in attrs if name.startswith(start)]
    whole = "".join(attrs.pop(f"{start}{i}") for i in range(len(pieces)))
    for i, first in enumerate(range(0, len(whole), _PIECE)):
        attrs[f"{start}{i}"] = whole[first : first + _PIECE]


class _Page:
    """What optuna-dashboard asks of a study, a trial and their storage: it writes into attributes.

    Its own way is a transaction for each piece of 2 kB; a reader in between sees half a figure.
    """

    def __init__(self, attrs: dict[str, Any], place: str) -> None:
        self._attrs = attrs
        self._storage = self.storage = self.study = self
        self._study_id = 0
        self._trial_id = int(place) if place else None

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return self._attrs

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        self._attrs[key] = value


@dataclass(frozen=True)
class _Json:
    """A figure that is JSON already."""

    text: str

    def to_json(self) -> str:
        return self.text
