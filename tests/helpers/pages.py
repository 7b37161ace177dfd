"""The dashboard's pages of a run, read without a server."""

import io
import json
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

from optuna.artifacts import FileSystemArtifactStore
from optuna_dashboard import wsgi

from schedsearch import Run
from schedsearch.dashboard.publish import publish
from schedsearch.store.place import study_ids


class Pages:
    """The dashboard's application on a run, called without a server."""

    def __init__(self, run: Run) -> None:
        self.run, self.folder = run, Path(run.place.folder or "") / "artifacts"
        self.ids = study_ids(run.storage, run.name)

    def get(self, path: str, method: str = "GET", body: Any = None) -> bytes:
        app = wsgi(self.run.storage, artifact_store=FileSystemArtifactStore(self.folder))
        content = json.dumps(body).encode()
        asked: dict[str, Any] = {"PATH_INFO": path, "REQUEST_METHOD": method}
        asked |= {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(content))}
        environ = asked | {"wsgi.input": io.BytesIO(content)}
        setup_testing_defaults(environ)
        found: list[str] = []
        parts = app(environ, lambda status, _, __=None: found.append(status))
        answer = b"".join(parts)
        getattr(parts, "close", lambda: None)()
        assert found[0][0] == "2", (path, found, answer)
        return answer

    def study(self, name: str | None = None) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            self.get(f"/api/studies/{self.ids[name or self.run.name]}")
        )
        return found

    def write_note(self, body: str, trial_id: int | None = None) -> None:
        """Do what the pencil on a note does."""
        study = self.study()
        notes = [study["note"]] if trial_id is None else []
        notes += [t["note"] for t in study["trials"] if t["trial_id"] == trial_id]
        trial = "" if trial_id is None else f"/{trial_id}"
        content = {"version": notes[0]["version"] + 1, "body": body}
        self.get(f"/api/studies/{self.ids[self.run.name]}{trial}/note", "PUT", content)

    def publish(self, **options: Any) -> bool:
        return publish(self.run, self.folder, **options)


def noted(study: dict[str, Any]) -> dict[int, str]:
    """Return the notes of a study's trials, by number."""
    return {t["number"]: t["note"]["body"] for t in study["trials"] if t["note"]["body"]}


def attr_rows(run: Run) -> dict[str, tuple[int, str]]:
    """Return the study attributes with the ids of their rows, which a new write would change."""
    query = "select key, study_system_attribute_id, value_json from study_system_attributes"
    with run.storage.engine.connect() as connection:
        rows = connection.exec_driver_sql(query).all()
    return {key: (row_id, value) for key, row_id, value in rows}
