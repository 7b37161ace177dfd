"""best.json of a confirmed run, the printed confirmation, and `schedsearch confirm`."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schedsearch import Run, StudyConfig, load_schedule, open_run, run_study
from schedsearch.confirmation.read import confirmation_frame, confirmation_of
from schedsearch.dashboard.notes import notable, study_note
from schedsearch.report.best_json import best_of
from schedsearch.report.snapshot import Snapshot
from schedsearch.store.place import study_ids

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def confirmed(
    make_config: Callable[..., StudyConfig], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return the folder of a confirmed run, to read from."""
    runs = tmp_path_factory.mktemp("confirmed")
    config = make_config(name="sure", trials=4, confirmation={"finalists": 2, "seeds": 4})
    outcome = run_study(config, runs_dir=runs, device="cpu")
    outcome.run.storage.engine.dispose()
    return outcome.best_path.parent


def test_best_json_holds_the_confirmed_winner(confirmed: Path) -> None:
    run = open_run(confirmed)
    data, frame = json.loads((confirmed / "best.json").read_text()), confirmation_frame(run)
    winner = frame.iloc[0]
    assert data["confirmed"] is True
    assert load_schedule(confirmed / "best.json").to_json() == winner["json"]
    assert data["result"]["val_loss"] == pytest.approx(winner["mean"])
    assert data["result"]["test_accuracy"] == winner["test_accuracy"]
    said = data["confirmation"]
    assert said["seeds"] == 4
    assert said["mean"] == winner["mean"]
    assert said["interval"] == [winner["low"], winner["high"]]
    assert said["tried"] == 4
    assert said["test"] == "Welch's t-test"
    assert len(said["finalists"]) == 4
    assert said["better_than_all_others"] == (said["not_told_apart"] == []) == (said["p"] <= 0.05)
    assert data["claim"] == confirmation_of(run).sentence()  # type: ignore[union-attr]
    assert data == best_of(run), "and an export later writes the same"


def test_the_dashboard_tells_the_winner_and_the_finalists(confirmed: Path) -> None:
    run, snapshot = open_run(confirmed), Snapshot.of(open_run(confirmed))
    frame, why = confirmation_frame(run), notable(snapshot)
    of_search = frame[frame["trial"].notna()]
    for trial, mean in zip(of_search["trial"], of_search["mean"], strict=True):
        assert f"(4 seeds: mean val_loss {mean:.4g})" in "; ".join(why["sure", int(trial)])
    winner = frame.iloc[0]
    told = [key for key, reasons in why.items() if "the winner on fresh seeds" in reasons]
    assert told == ([] if winner["trial"] != winner["trial"] else [("sure", winner["trial"])])
    families = set(snapshot.best_of_families()["family"])
    assert sum(r.startswith("the best of ") for each in why.values() for r in each) >= len(families)
    note = study_note(snapshot, study_ids(run.storage, "sure"))
    assert "Welch's t-test on 4 fresh seeds" in note


def test_an_unconfirmed_best_says_so(finished: Path) -> None:
    data = json.loads((finished / "best.json").read_text())
    assert data["confirmed"] is False
    assert data["confirmation"] is None
    assert "not confirmed" in data["claim"]


def test_a_best_json_of_before_is_still_read(finished: Path, tmp_path: Path) -> None:
    data = json.loads((finished / "best.json").read_text())
    del data["confirmation"]
    (tmp_path / "old.json").write_text(json.dumps(data))
    assert load_schedule(tmp_path / "old.json") == load_schedule(finished / "best.json")


def rows_of(out: str) -> list[str]:
    """Return the rows of the printed confirmation."""
    lines = out.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("Confirmed on ")) + 2
    return lines[first : first + 4]


def test_confirm_prints_a_table_and_a_sentence(
    cli: Command, study_file: Callable[..., Path], runs_dir: Path
) -> None:
    cli("run", study_file(name="r"), "--runs-dir", runs_dir)
    command = ("confirm", "r", "--seeds", 4, "--finalists", 2, "--runs-dir", runs_dir)
    code, out, err = cli(*command)
    assert (code, err) == (0, "")
    assert re.search(r"tuning the \w+: 0/16 trainings", out)
    assert "confirming: 16/16 trainings" in out
    run = open_run(runs_dir / "r")
    for row, label in zip(rows_of(out), confirmation_frame(run)["schedule"], strict=True):
        assert row.startswith(label)
    assert "Confirmed on 4 fresh seeds (16 trainings; mean val_loss):" in out
    assert confirmation_of(run).sentence() in out  # type: ignore[union-attr]
    assert re.search(r"Common seeds saved -?\d+% of the differences' variance \(.*\)", out)
    assert out.endswith(f"Written to {runs_dir / 'r' / 'best.json'}\n")
    assert json.loads((runs_dir / "r" / "best.json").read_text())["confirmed"] is True
    quiet = cli(*command, "--quiet")
    assert quiet[0] == 0
    assert "confirming" not in quiet[1], "there was nothing left to do"
    assert rows_of(quiet[1]) == rows_of(out)


def test_status_and_list_know_of_it(cli: Command, confirmed: Path, finished: Path) -> None:
    run: Run = open_run(confirmed)
    _, out, _ = cli("status", confirmed)
    assert confirmation_of(run).sentence() in out  # type: ignore[union-attr]
    assert "4 finished; of 4" in out
    _, out, _ = cli("status", finished)
    assert re.search(r"^confirmed no$", out, flags=re.MULTILINE)
    _, out, _ = cli("list", "--runs-dir", confirmed.parent)
    assert [line.split()[0] for line in out.splitlines()] == ["run", "sure"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--seeds", 2), "needs at least"),
        (("--seeds", 0), "--seeds"),
        (("--finalists", 0), "--finalists"),
        (("--device", "tpu"), "tpu"),
    ],
    ids=str,
)
def test_what_cannot_be_confirmed_is_one_line(
    cli: Command, finished: Path, options: tuple[Any, ...], text: str
) -> None:
    code, out, err = cli("confirm", finished, *options)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert text in err
    code, _, err = cli("confirm", "nowhere")
    assert code == 2
    assert "there is no run 'nowhere'" in err
