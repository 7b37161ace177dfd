"""Rank mode confirmed: the best of each family, in best.json, the report and the command."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schedsearch import Run, StudyConfig, load_schedule, open_run, run_study
from schedsearch.confirmation.read import confirmation_frame, confirmation_of, last_confirmation
from schedsearch.report.best_json import best_of
from schedsearch.report.leaderboard import leaderboard_of
from schedsearch.report.snapshot import Snapshot
from schedsearch.store.delete import delete_run
from schedsearch.store.place import run_names, study_ids

Command = Callable[..., tuple[int, str, str]]

FAMILIES = ["StepLR", "Constant", "ExponentialLR"]
CONFIRMED: dict[str, Any] = {
    "mode": "rank",
    "families": FAMILIES,
    "trials": 24,
    "training": {"engine": "reference"},
    "space": {"peak_lr": [0.01, 0.3]},
    "confirmation": {"seeds": 4, "finalists": 1},
}


@pytest.fixture(scope="module")
def confirmed(
    make_config: Callable[..., StudyConfig], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return the folder of a run whose families were confirmed, to read from."""
    runs = tmp_path_factory.mktemp("confirmed")
    outcome = run_study(make_config(name="sure", **CONFIRMED), runs_dir=runs, device="cpu")
    outcome.run.storage.engine.dispose()
    return outcome.best_path.parent


def test_the_best_of_each_family_is_confirmed(confirmed: Path) -> None:
    """However many finalists a search would have had."""
    run = open_run(confirmed)
    frame, board = confirmation_frame(run), leaderboard_of(run).set_index("family")
    finalists = frame[frame["roles"].str.contains("finalist")].set_index("family")
    assert set(finalists.index) == set(FAMILIES)
    for family in FAMILIES:
        assert finalists["trial"][family] == board["trial"][family]
        assert finalists["search_value"][family] == board["val_loss"][family]
    assert (frame["seeds"] == 4).all()
    assert last_confirmation(run) is not None
    assert last_confirmation(run).basis.tried == 24  # type: ignore[union-attr]
    assert confirmation_of(run) is not None
    assert frame["told_apart"].notna().all(), "of each family it is said"


def test_a_familys_own_trials_tune_the_reference_that_it_is(confirmed: Path) -> None:
    """Constant was tried 8 times, CosineAnnealingLR never."""
    run = open_run(confirmed)
    frame = confirmation_frame(run).set_index("schedule")
    constant = frame[frame["family"] == "Constant"]
    assert list(constant["roles"]) == ["finalist, Constant"]
    assert list(frame["roles"].loc[["CosineAnnealingLR (tuned)"]]) == ["CosineAnnealingLR"]
    assert last_confirmation(run) is not None
    assert last_confirmation(run).basis.tuned == 8  # type: ignore[union-attr]


def test_best_json_and_the_report_name_the_familys_trial(confirmed: Path) -> None:
    run = open_run(confirmed)
    data = json.loads((confirmed / "best.json").read_text())
    assert data == best_of(run)
    assert data["confirmed"] is True
    assert data["study"]["mode"] == "rank"
    winner = confirmation_frame(run).iloc[0]
    schedule = load_schedule(confirmed / "best.json")
    assert schedule.to_json() == winner["json"]
    assert data["result"]["study"] == f"sure/{schedule.family}"
    row = Snapshot.of(run).winner()
    assert row is not None
    assert (row.study, row.trial) == (data["result"]["study"], data["result"]["trial"])
    assert json.loads(row.schedule) == schedule.to_dict()
    page = (confirmed / "report.html").read_text()
    assert all(family in page for family in FAMILIES)


def test_the_commands_show_one_run(cli: Command, confirmed: Path) -> None:
    _, out, _ = cli("status", confirmed)
    assert re.search(r"^trials +24 finished; of 24, as many for each family$", out, re.MULTILINE)
    _, out, _ = cli("list", "--runs-dir", confirmed.parent)
    assert [line.split()[:4] for line in out.splitlines()[1:]] == [["sure", "digits", "24", "24"]]
    _, out, _ = cli("trials", confirmed, "--format", "csv")
    assert len(out.splitlines()) == 25
    code, out, err = cli("confirm", confirmed, "--finalists", 2)
    assert (code, out) == (2, "")
    assert "finalists = 2: 'sure' ranks families" in err
    code, out, _ = cli("confirm", confirmed)
    assert code == 0
    head = next(line for line in out.splitlines() if line.startswith("schedule "))
    assert "told apart" in head


def test_a_ranking_by_command(
    cli: Command, study_file: Callable[..., Path], runs_dir: Path
) -> None:
    file = study_file(name="r", trials=7, families=FAMILIES)
    command = ("run", file, "--mode", "rank", "--runs-dir", runs_dir)
    code, out, err = cli(*command, "--dry-run")
    assert (code, err) == (0, "")
    assert "rank: 2 or 3 trials of each family, a study for each" in out
    assert not runs_dir.exists()
    code, out, err = cli(*command)
    assert (code, err) == (0, "")
    assert "r: 7 trials" in out
    assert "Families ranked by the best trial of each (r):" in out
    assert json.loads((runs_dir / "r" / "best.json").read_text())["confirmed"] is False
    code, _, err = cli("run", file, "--runs-dir", runs_dir)
    assert code == 2
    assert "mode: 'rank' -> 'search'" in err
    code, _, err = cli("run", file, "--mode", "rnak", "--runs-dir", runs_dir)
    assert code == 2
    assert "mode = 'rnak' is not allowed: input should be 'search' or 'rank'" in err
    assert len(err.splitlines()) == 1


def test_all_its_studies_are_deleted(
    make_config: Callable[..., StudyConfig], tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    runs: list[Run] = []
    for name in ("one", "one-more"):
        config = make_config(name=name, **(CONFIRMED | {"trials": 3, "confirmation": {"seeds": 0}}))
        run = run_study(config, runs_dir=tmp_path, storage=url, device="cpu", report=False).run
        runs.append(run)
    assert len(study_ids(runs[0].storage, "one")) == 5
    delete_run(runs[0])
    storage = runs[1].storage
    assert run_names(storage) == {"one-more"}
    names = {study.study_name for study in storage.get_all_studies()}
    assert names == {"one-more", "one-more/test", *(f"one-more/{family}" for family in FAMILIES)}
    assert len(runs[1].trials()) == 3
