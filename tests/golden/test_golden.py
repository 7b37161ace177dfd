"""The golden record: studies give the numbers that they gave before the package was rebuilt.

`golden.json` was made with the code of the commit that it names, before the first move. Sampled
values must be equal, losses within 1e-4. Where a later change is meant to change numbers, it makes
the record again (`python tests/golden/remake.py`) and says why in its commit.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from schedsearch.config import parse_config
from schedsearch.confirmation.read import confirmation_frame
from schedsearch.launch import Outcome, run_study
from schedsearch.schedules.schedule import Schedule


def known_record() -> dict[str, Any]:
    record: dict[str, Any] = json.loads(Path(__file__).with_name("golden.json").read_text())
    return record


RECORD = known_record()
STUDIES = [name for name in RECORD if name != "made_with"]

# families that the record knows by the name of torch's container
NOW = {
    "SequentialLR": "WarmupStableDecay",
    "MultiplicativeLR": "HoldThenExponential",
    "ChainedScheduler": "CosineTimesExponential",
}
LOSS = 1e-4


def family(name: str) -> str:
    return NOW.get(name, name)


def config_of(record: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the study file of a record in today's words."""
    config = dict(record["config"]) | {"name": name}
    space = dict(config["space"])
    if "base_lr" in space:
        space["peak_lr"] = space.pop("base_lr")
    return config | {"space": space, "families": [family(f) for f in config["families"]]}


@pytest.fixture(scope="module", params=STUDIES)
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], Outcome, Path]:
    """Return a record, and the same study as it is today."""
    name, folder = request.param, tmp_path_factory.mktemp("golden")
    config = parse_config(config_of(RECORD[name], name))
    outcome = run_study(config, runs_dir=folder, device="cpu", report=False)
    return RECORD[name], outcome, folder / name


def same_schedule(row: Mapping[str, Any], schedule: Schedule) -> None:
    assert schedule.family == family(row["family"])
    assert schedule.peak_lr == row.get("peak_lr", row.get("base_lr"))
    assert schedule.to_dict()["params"] == row["params"]
    assert schedule.to_dict()["warmup"] == row["warmup"]


def same_trials(rows: list[dict[str, Any]], frame: pd.DataFrame) -> None:
    """Check trials by study and number: what was sampled, how they ended, what they reached."""
    found = {(r.study, r.trial): r for r in frame.itertuples()}
    assert len(found) == len(rows)
    for row in rows:
        run, slash, rest = row["study"].partition("/")
        now: Any = found[run + slash + family(rest), row["trial"]]
        same_schedule(row, Schedule.from_json(now.schedule))
        assert now.state == row["state"]
        assert now.spent_steps == row["spent_steps"]
        assert now.horizon == row["horizon"]
        if row["state"] != "diverged":
            assert now.val_loss == pytest.approx(row["val_loss"], abs=LOSS)
            assert now.val_accuracy == pytest.approx(row["val_accuracy"], abs=0.01)


def test_trials_are_sampled_and_end_as_before(pair: Any) -> None:
    record, outcome, _ = pair
    same_trials(record["trials"], outcome.run.trials())


def test_checks_are_drawn_and_end_as_before(pair: Any) -> None:
    record, outcome, _ = pair
    same_trials(record["checks"], outcome.run.checks())
    assert outcome.run.chosen_fidelity == record["kind"]


def test_rungs_give_what_they_gave(pair: Any) -> None:
    record, outcome, _ = pair
    now = outcome.run.rungs().sort_values(["study", "trial", "horizon"])
    rows = [row | {"family": family(row["family"])} for row in record["rungs"]]
    before = pd.DataFrame(rows, columns=list(now.columns))
    before["study"] = [
        "/".join(family(part) for part in study.split("/")) for study in before["study"]
    ]
    before = before.sort_values(["study", "trial", "horizon"])
    keys = ["study", "trial", "horizon", "family"]
    assert now[keys].to_numpy().tolist() == before[keys].to_numpy().tolist()
    assert now["val_loss"].to_numpy() == pytest.approx(before["val_loss"].to_numpy(), abs=LOSS)


def test_the_confirmation_is_the_one_of_before(pair: Any) -> None:
    record, outcome, _ = pair
    frame = confirmation_frame(outcome.run)
    assert len(frame) == len(record["confirmation"])
    for row, now in zip(record["confirmation"], frame.itertuples(), strict=True):
        same_schedule(row, Schedule.from_json(str(now.json)))
        roles = [family(role) for role in row["roles"].split(", ")]
        assert str(now.roles) == ", ".join(roles)
        assert now.mean == pytest.approx(row["mean"], abs=LOSS)
        assert now.search_value == pytest.approx(row["search_value"], abs=LOSS)
        assert (str(now.test_accuracy) != "nan") == (row["test_accuracy"] is not None)


def test_the_best_and_its_score_are_those_of_before(pair: Any) -> None:
    record, outcome, folder = pair
    best = json.loads((folder / "best.json").read_text())
    same_schedule(record["best"], Schedule.from_dict(best["schedule"]))
    assert outcome.winner is not None
    score = outcome.winner.score
    assert score is not None
    same_schedule(record["test"], score.schedule)
    assert score.seed == record["test"]["seed"]
    tested = record["test"]["test"]
    assert score.test["loss"] == pytest.approx(tested["loss"], abs=LOSS)
    assert score.test["accuracy"] == pytest.approx(tested["accuracy"], abs=0.005)


def test_a_changed_loss_would_be_seen(pair: Any) -> None:
    """The comparison itself: a planted difference of 3e-4 fails."""
    record, outcome, _ = pair
    rows = [dict(row) for row in record["trials"]]
    finished = next(row for row in rows if row["state"] == "finished")
    finished["val_loss"] += 3e-4
    with pytest.raises(AssertionError):
        same_trials(rows, outcome.run.trials())
