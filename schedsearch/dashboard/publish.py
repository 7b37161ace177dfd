"""Publish a run on its pages in the Optuna dashboard: figures, notes, pictures and curves."""

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pandas as pd
from optuna.artifacts import FileSystemArtifactStore
from optuna.artifacts.exceptions import ArtifactNotFound

from schedsearch.compat import OF_DASHBOARD, trial_id_of
from schedsearch.dashboard.notes import notable, study_note, trial_note
from schedsearch.dashboard.pages import PUBLISHED, Item, file, note, put
from schedsearch.report.draw.matplotlib import paint
from schedsearch.report.draw.plotly import page_figures
from schedsearch.report.figures import FIGURES, winner
from schedsearch.report.figures.chart import in_unit
from schedsearch.report.snapshot import Snapshot, TrialRow, rows_of
from schedsearch.store.place import study_ids
from schedsearch.store.records import PREFIX
from schedsearch.store.run import Run
from schedsearch.store.writing import writer_of

_EDITED = (*OF_DASHBOARD, PUBLISHED)
_NO_CURVE = ["trial", "study", "family", "seconds"]


def state_of(run: Run) -> Any:
    """Return a value that changes whenever something new is to be published."""
    found: dict[str, Any] = {}
    for study, study_id in study_ids(run.storage, run.name).items():
        states = Counter(t.state for t in run.reader.get_all_trials(study_id, deepcopy=False))
        attrs = run.storage.get_study_system_attrs(study_id)
        stored = {k: v for k, v in attrs.items() if k.startswith(PREFIX) and k != PUBLISHED}
        found[study] = (study_id, states, stored)
    return found


def publish(run: Run, folder: Path | None, seconds: float = float("inf")) -> bool:
    """Bring the pages of a run up to date; items that are unchanged are not written again.

    Figures and notes come first, those of a study in one transaction. Files are drawn afterwards.

    Args:
        run: the run.
        folder: the folder for files; None to make none.
        seconds: the time to draw files; files that are left wait for the next call.

    Returns:
        Whether everything is done.

    Raises:
        RunError: the run is gone.
    """
    whole, ids = Snapshot.of(run), study_ids(run.storage, run.name)
    why, complete = notable(whole), True
    writer = writer_of(run.storage)
    used = [run.name, *sorted(set(whole.trials["study"]) - {run.name})]
    overviews = {}
    for study in used:
        part = whole if study == run.name else _part(whole, study)
        overviews[study] = note(study_note(part, ids))
        items = [*_figures(part), overviews[study]]
        with writer.editing_attrs(ids[study], _EDITED) as attrs:
            put(attrs, items, ("figure",))
    store = None if folder is None else _Store(folder, time.monotonic() + seconds)
    for study in used:
        rows = _rows(whole, study, why)
        files = [] if store is None else list(store.files(whole, rows))
        with writer.editing_attrs(ids[study], _EDITED) as attrs:
            known = {*attrs.get(PUBLISHED, {}), *(item.key for item in files)}
            notes = [overviews[study], *_notes(whole, rows, why, ids[study], known)]
            gone = put(attrs, [*notes, *files], ("note",) if store is None else ("note", "file"))
        if store is not None:
            store.remove(gone)
            complete = complete and store.complete
    return complete


def _part(run: Snapshot, study: str) -> Snapshot:
    """Return the part of a run that one of its studies holds."""

    def of(frame: pd.DataFrame) -> pd.DataFrame:
        return frame[frame["study"] == study]

    return replace(
        run,
        confirmed=None,
        trials=of(run.trials),
        curves=of(run.curves),
        rungs=of(run.rungs),
        stored={key: trial for key, trial in run.stored.items() if key[0] == study},
    )


def _figures(run: Snapshot) -> Iterator[Item]:
    """Yield the figures of a study's page; each panel is a figure of its own there."""
    for figure in FIGURES:
        table = figure.table(run) if figure.in_dashboard else None
        if table is not None and not table.empty:
            chart = in_unit(figure.draw(table), run.config.training.unit)
            for i, drawn in enumerate(page_figures(chart)):
                yield Item("figure", f"{figure.name}-{i}", json.dumps(drawn, separators=(",", ":")))


def _rows(run: Snapshot, study: str, why: dict[tuple[str, int], list[str]]) -> list[TrialRow]:
    """Return the rows of a study's notable trials, in the order of `why`."""
    numbers = [trial for name, trial in why if name == study]
    trials = run.trials[run.trials["study"] == study].set_index("trial", drop=False)
    return rows_of(trials.loc[numbers])


def _notes(
    run: Snapshot,
    rows: list[TrialRow],
    why: dict[tuple[str, int], list[str]],
    study_id: int,
    known: set[str],
) -> Iterator[Item]:
    """Yield the notes on trials, each with its picture if that has been drawn."""
    for row in rows:
        trial_id = trial_id_of(run.stored[row.study, row.trial])
        text, picture = trial_note(run, row, why[row.study, row.trial]), _file_id(row, _PICTURE)
        if f"file:{trial_id}:{picture}" in known:
            about = f"learning rate and losses of trial {row.trial}"
            text += f"\n\n![{about}](/artifacts/{study_id}/{trial_id}/{picture})"
        yield note(text, trial_id)


def _file_id(row: TrialRow, name: str) -> str:
    """Return a file's id, which follows from the trial, so that all processes agree on it."""
    return str(uuid5(NAMESPACE_URL, f"{PREFIX}{row.study}/{row.trial}/{name}"))


class _Store:
    """The files of notable trials, in a folder. None are made after a given time."""

    def __init__(self, folder: Path, until: float) -> None:
        self._folder, self._until = folder, until
        self._store = FileSystemArtifactStore(folder)
        self.complete = True

    def files(self, run: Snapshot, rows: list[TrialRow]) -> Iterator[Item]:
        """Make the missing files, and yield all files that exist."""
        self._folder.mkdir(exist_ok=True)
        for row in rows:
            trial_id = trial_id_of(run.stored[row.study, row.trial])
            for name, mimetype, make in _FILES:
                file_id = _file_id(row, name)
                if not (self._folder / file_id).is_file():
                    if time.monotonic() > self._until:
                        self.complete = False
                        continue
                    self._store.write(file_id, BytesIO(make(run, row)))
                yield file(trial_id, file_id, f"trial-{row.trial}-{name}", mimetype)

    def remove(self, places: Iterable[str]) -> None:
        """Remove files that are no longer shown."""
        for place in places:
            with suppress(ArtifactNotFound):
                self._store.remove(place.partition(":")[2])


def _picture(run: Snapshot, row: TrialRow) -> bytes:
    drawn = BytesIO()
    chart = winner.draw(winner.table_of(run, row), f"Trial {row.trial}, {row.family}")
    paint(in_unit(chart, run.config.training.unit)).savefig(drawn, format="png", dpi=100)
    return drawn.getvalue()


def _curve(run: Snapshot, row: TrialRow) -> bytes:
    curve = run.curve_of(row.study, row.trial).drop(columns=_NO_CURVE)
    return str(curve.to_csv(index=False)).encode()


_PICTURE = "rates.png"
_FILES = ((_PICTURE, "image/png", _picture), ("curve.csv", "text/csv", _curve))
