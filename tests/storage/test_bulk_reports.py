"""What a trial reported is written with its result: the same rows as Optuna's own."""

import math
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from schedsearch.storage.bulk import Ended, create_running, write_results
from schedsearch.storage.connect import open_storage, sqlite_url
from schedsearch.storage.owners import OWNER


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_reports_are_those_that_optuna_writes(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    """Also where an earlier attempt has left some; and nobody writes to another's trial."""
    sqlite = kind == "sqlite"
    url = sqlite_url(tmp_path / "a.db") if sqlite else str(request.getfixturevalue("database"))
    storage = open_storage(url)
    study = optuna.create_study(storage=storage)
    ((mine, _),) = create_running(study._storage, study._study_id, {OWNER: "me"}, 1, 10)
    reports = {20: 0.1 + 0.2, 60: math.inf, 180: -math.inf, 7: 1e-300}
    study._storage.set_trial_intermediate_value(mine, 60, 9.0)
    row = Ended(mine, TrialState.PRUNED, 0.5, {}, {}, reports)
    assert write_results(study._storage, [row], "somebody") == set()
    assert study._storage.get_trial(mine).intermediate_values == {60: 9.0}
    assert write_results(study._storage, [row], "me") == {mine}
    other = study.ask()
    for step, value in reports.items():
        other.report(value, step)
    ours, theirs = (trial.intermediate_values for trial in study.trials)
    assert ours == theirs == reports
    storage.remove_session()
    storage.engine.dispose()
