"""What tests of killed and racing processes share: looking at a run while it goes on."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pandas as pd

from schedsearch import Run

# Trials that are long enough for a process to be found in the middle of one.
SLOW = {"total_steps": 500, "evals_per_run": 5}


def count(folder: Path, state: str, *, like: str = "%") -> int:
    """Count trials in a run's SQLite file, as cheaply as can be."""
    query = (
        "select count(distinct t.trial_id) from trials t "
        "join trial_user_attributes a on a.trial_id = t.trial_id "
        "where t.state = ? and a.key = 'owner' and a.value_json like ?"
    )
    try:
        with closing(sqlite3.connect(folder / "study.db", timeout=30)) as database:
            return int(database.execute(query, (state, like)).fetchone()[0])
    except sqlite3.OperationalError:  # no file or no table yet
        return 0


def in_mid_batch(folder: Path, batch: int) -> bool:
    """Return whether a batch after the first is being trained (it was asked a moment ago)."""
    done = count(folder, "COMPLETE")
    asked = done >= batch and done % batch == 0 and count(folder, "RUNNING") == batch
    time.sleep(0.03 * asked)
    return asked


def check_complete(run: Run, total: int) -> pd.DataFrame:
    """Check that a run holds its total: none lost, none double, none failed, none repeated."""
    trials = run.trials()
    done = trials[trials["state"].isin(["finished", "diverged", "pruned"])]
    assert list(done["trial"]) == list(range(total))
    assert set(trials["state"]) <= {"finished", "diverged", "waiting"}
    assert done["schedule"].is_unique, "a draw was repeated"
    curves = run.curves()
    own = curves[curves["trial"].isin(done["trial"][done["state"] == "finished"])]
    assert (own.groupby("trial")["step"].count() == 5).all()
    assert not own.duplicated(["trial", "step"]).any()
    return trials
