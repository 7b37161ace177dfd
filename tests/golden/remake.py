"""Make the golden record again with today's code: `python tests/golden/remake.py`.

Only for a change that is meant to change numbers; its commit says which, and why.
"""

import json
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from schedsearch import confirmation_frame, run_study
from schedsearch.config import parse_config
from schedsearch.schedules.schedule import Schedule

RECORD = Path(__file__).with_name("golden.json")
_TRIAL = ("trial", "study", "state", "val_loss", "val_accuracy", "steps", "horizon", "spent_steps")


def _sampled(schedule: Schedule) -> dict[str, Any]:
    stored = schedule.to_dict()
    return {name: stored[name] for name in ("family", "peak_lr", "params", "warmup")}


def _trials(frame: pd.DataFrame) -> list[dict[str, Any]]:
    text = frame[list(_TRIAL)].to_json(orient="records", double_precision=15)
    rows: list[dict[str, Any]] = json.loads(str(text))
    texts = map(str, frame["schedule"])
    return [row | _sampled(Schedule.from_json(t)) for row, t in zip(rows, texts, strict=True)]


def _finalist(row: Any) -> dict[str, Any]:
    accuracy = None if pd.isna(row.test_accuracy) else row.test_accuracy
    reached = {"roles": row.roles, "mean": row.mean, "search_value": row.search_value}
    return reached | {"test_accuracy": accuracy} | _sampled(Schedule.from_json(row.json))


def record_of(name: str, study: dict[str, Any]) -> dict[str, Any]:
    """Run a study, and return what the record holds of it."""
    with tempfile.TemporaryDirectory() as folder:
        config = parse_config({**study, "name": name})
        outcome = run_study(config, runs_dir=folder, device="cpu", report=False)
        run, winner = outcome.run, outcome.winner
        assert winner is not None
        rungs = run.rungs().to_json(orient="records", double_precision=15)
        assert winner.score is not None
        score = vars(winner.score) | _sampled(winner.schedule)
        score.pop("schedule")
        score["test"] = dict(winner.score.test)
        best = json.loads(outcome.best_path.read_text())["schedule"]
        return {
            "config": study,
            "trials": _trials(run.trials()),
            "checks": _trials(run.checks()),
            "rungs": json.loads(str(rungs)),
            "best": _sampled(Schedule.from_dict(best)),
            "test": score,
            "kind": run.chosen_fidelity,
            "confirmation": [_finalist(row) for row in confirmation_frame(run).itertuples()],
        }


def main() -> None:
    """Run the studies of the record again, and write what they give today."""
    from test_golden import STUDIES, config_of, known_record

    made: dict[str, Any] = {}
    for name in STUDIES:
        study = config_of(known_record()[name], name)
        study.pop("name")
        made[name] = record_of(name, study)
    made["made_with"] = {"torch": version("torch"), "optuna": version("optuna")}
    RECORD.write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main()
