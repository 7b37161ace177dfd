"""What a trial reported is written with its result: the same rows as Optuna's own."""

import math
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from schedsearch.compat import storage_of, study_id_of
from schedsearch.store import optuna_tables, public_api
from schedsearch.store.connect import open_storage, sqlite_url
from schedsearch.store.leases import OWNER
from schedsearch.store.writing import Finished, Writer


@pytest.mark.parametrize("way", [optuna_tables, public_api], ids=["tables", "public"])
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_reports_are_those_that_optuna_writes(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, way: Any
) -> None:
    """Also where an earlier attempt has left some; and nobody writes to another's trial."""
    sqlite = kind == "sqlite"
    url = sqlite_url(tmp_path / "a.db") if sqlite else str(request.getfixturevalue("database"))
    storage = open_storage(url)
    study = optuna.create_study(storage=storage)
    writer = Writer(storage_of(study), way)
    ((mine, _),) = writer.create_running(study_id_of(study), {OWNER: "me"}, 1, 10)
    reports = {20: 0.1 + 0.2, 60: math.inf, 180: -math.inf, 7: 1e-300}
    writer.storage.set_trial_intermediate_value(mine, 60, 9.0)
    row = Finished(mine, TrialState.PRUNED, 0.5, {}, {}, reports)
    assert writer.write_results([row], "somebody") == set()
    assert writer.storage.get_trial(mine).intermediate_values == {60: 9.0}
    assert writer.write_results([row], "me") == {mine}
    other = study.ask()
    for step, value in reports.items():
        other.report(value, step)
    ours, theirs = (trial.intermediate_values for trial in study.trials)
    assert ours == theirs == reports
    storage.remove_session()
    storage.engine.dispose()
